//! A kept hit as one line of JSON: the fields of the nginx peer's log, in its order.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::{self, HeaderName};
use hyper::http::request::Parts;

use crate::gate::Entry;

/// The headers it holds, each after the words that end the field before it.
static HEADERS: [(&str, HeaderName); 10] = [
    ("\",\"host\":\"", header::HOST),
    ("\",\"agent\":\"", header::USER_AGENT),
    ("\",\"referer\":\"", header::REFERER),
    ("\",\"language\":\"", header::ACCEPT_LANGUAGE),
    ("\",\"cookie\":\"", header::COOKIE),
    ("\",\"brands\":\"", HeaderName::from_static("sec-ch-ua")),
    ("\",\"mobile\":\"", HeaderName::from_static("sec-ch-ua-mobile")),
    ("\",\"platform\":\"", HeaderName::from_static("sec-ch-ua-platform")),
    ("\",\"gpc\":\"", HeaderName::from_static("sec-gpc")),
    ("\",\"forwarded\":\"", HeaderName::from_static("x-forwarded-for")),
];

/// Adds the line of a hit that came from `ip`.
pub fn append(line: &mut Vec<u8>, head: &Parts, ip: &str, found: &Entry) {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, milliseconds) = (at.as_secs(), at.subsec_millis());
    let _ = write!(line, "{{\"at\":{seconds}.{milliseconds:03}"); // into memory: it cannot fail
    for (field, value) in [
        (",\"account\":\"", found.account.as_str()),
        ("\",\"verdict\":\"", &found.verdict),
        ("\",\"ip\":\"", ip),
        ("\",\"method\":\"", head.method.as_str()),
        ("\",\"target\":\"", head.uri.path_and_query().map_or("", |target| target.as_str())),
    ] {
        line.extend_from_slice(field.as_bytes());
        escape(line, value.as_bytes());
    }
    for (field, name) in &HEADERS {
        line.extend_from_slice(field.as_bytes());
        escape(line, head.headers.get(name).map_or(b"", |value| value.as_bytes()));
    }
    line.extend_from_slice(b"\"}\n");
}

/// Writes a text between its quotes: quote, backslash and control bytes escaped, all else as it came.
fn escape(line: &mut Vec<u8>, text: &[u8]) {
    let mut plain = 0;
    for (at, &letter) in text.iter().enumerate() {
        if letter >= b' ' && letter != b'"' && letter != b'\\' {
            continue;
        }
        line.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        if letter >= b' ' {
            line.extend_from_slice(&[b'\\', letter]);
        } else {
            let _ = write!(line, "\\u{letter:04x}");
        }
    }
    line.extend_from_slice(&text[plain..]);
}
