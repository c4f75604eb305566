//! The gate: write key -> account and verdict, read once and never changed.

use std::collections::HashMap;
use std::{fs, io};

/// An account and the verdict on its hits.
pub struct Entry {
    pub account: String,
    pub verdict: String,
}

pub struct Gate(HashMap<String, Entry>);

impl Gate {
    /// Reads the table that the nginx peer reads too: a line holds key, account and verdict.
    pub fn load(path: &str) -> io::Result<Gate> {
        let mut known = HashMap::new();
        for line in fs::read_to_string(path)?.lines() {
            let mut fields = line.split_whitespace().map(String::from);
            let (Some(key), Some(account), Some(verdict), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                let fault = format!("{path}: expected key, account and verdict, got {line:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            };
            known.insert(key, Entry { account, verdict });
        }
        Ok(Gate(known))
    }

    /// Whose hit `/p/KEY.gif` is, if it is kept.
    pub fn pass(&self, path: &str) -> Option<&Entry> {
        let key = path.get("/p/".len()..path.len().checked_sub(".gif".len())?)?;
        self.0.get(key).filter(|found| found.verdict != "DROP")
    }
}
