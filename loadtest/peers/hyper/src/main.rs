//! The Rust peer: hyper with a gate in a map and one JSON line a kept hit, at the settings that cost it least.
//!
//! Usage: hyper-peer PORT KEYS FILE; KEYS is the gate's table, FILE takes the lines. SIGTERM writes what is left and ends it.

mod gate;
mod hits;
mod line;

use std::convert::Infallible;
use std::sync::Arc;
use std::{env, fmt, io, process};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{signal, SignalKind};

use gate::Gate;
use hits::Hits;

// What `loadtest/peers/wire.py` answers too.
static GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00\
    ,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

struct Peer {
    gate: Gate,
    hits: Hits,
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, port, keys, file] = &arguments[..] else { end("usage", "hyper-peer PORT KEYS FILE") };
    let gate = Gate::load(keys).unwrap_or_else(|error| end("the gate's table", error));
    let hits = Hits::create(file).unwrap_or_else(|error| end("the file of hits", error));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| end("the runtime", error)); // one thread: it has one core
    let peer = Arc::new(Peer { gate, hits });
    if let Err(error) = runtime.block_on(run(port, &peer)) {
        end("the server", error);
    }
}

/// Serves until SIGTERM, then writes what is left.
async fn run(port: &str, peer: &Arc<Peer>) -> io::Result<()> {
    let mut ended = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let carrying = peer.clone();
    tokio::spawn(async move { carrying.hits.carry().await });
    tokio::spawn(accept(listener, peer.clone()));
    ended.recv().await;
    peer.hits.flush()
}

async fn accept(listener: TcpListener, peer: Arc<Peer>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                tokio::spawn(converse(stream, from.ip().to_string(), peer.clone()));
            }
            Err(error) => end("accepting", error),
        }
    }
}

/// One connection, until either side ends it; how it ends is the client's business.
async fn converse(stream: TcpStream, ip: String, peer: Arc<Peer>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let (head, _) = request.into_parts();
        if let Some(found) = peer.gate.pass(head.uri.path()) {
            peer.hits.add(|line| line::append(line, &head, &ip, found));
        }
        std::future::ready(Ok::<_, Infallible>(answer()))
    });
    let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
}

fn answer() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(GIF)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("43"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache, must-revalidate, private"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

fn end(what: &str, error: impl fmt::Display) -> ! {
    eprintln!("{what}: {error}");
    process::exit(1)
}
