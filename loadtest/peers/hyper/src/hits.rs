//! The file of kept hits. Lines gather in memory; a task of its own writes them, so a hit is answered before.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

const BUFFER_BYTES: usize = 64 << 10; // the nginx peer's `buffer=64k`
const LINE_BYTES_MAX: usize = 16 << 10; // room beyond it for the lines that come until it is written
const FLUSH: Duration = Duration::from_secs(1); // the nginx peer's `flush=1s`

pub struct Hits {
    buffers: Mutex<Buffers>,
    full: Notify,
}

struct Buffers {
    file: File,
    gathering: Vec<u8>,
    spare: Vec<u8>,
}

impl Hits {
    /// Creates the file.
    pub fn create(path: &str) -> io::Result<Hits> {
        let buffer = || Vec::with_capacity(BUFFER_BYTES + LINE_BYTES_MAX);
        let buffers = Buffers { file: File::create(path)?, gathering: buffer(), spare: buffer() };
        Ok(Hits { buffers: Mutex::new(buffers), full: Notify::new() })
    }

    /// Adds a line by the function that writes it, and wakes the task once the buffer is full.
    pub fn add(&self, line: impl FnOnce(&mut Vec<u8>)) {
        let mut buffers = self.lock();
        line(&mut buffers.gathering);
        if buffers.gathering.len() >= BUFFER_BYTES {
            self.full.notify_one();
        }
    }

    /// Writes full buffers, and each second what there is; ends the process where that fails, since hits are lost then.
    pub async fn carry(&self) {
        loop {
            let _ = timeout(FLUSH, self.full.notified()).await; // full, or a second is over
            if let Err(error) = self.flush() {
                crate::end("the file of hits", error);
            }
        }
    }

    /// Writes what has gathered so far.
    pub fn flush(&self) -> io::Result<()> {
        let buffers = &mut *self.lock();
        mem::swap(&mut buffers.gathering, &mut buffers.spare);
        buffers.file.write_all(&buffers.spare)?;
        buffers.spare.clear();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().expect("a panic ends the process, so none holds the lock")
    }
}
