//! A web server on this machine that fails in a chosen way.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How requests for the file are answered, once the first `after` bytes of it were sent (its header).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// As they should be.
    Healthy,
    /// The answer begins and nothing follows.
    Stalls,
    /// The connection is taken and nothing is said.
    Silent,
    /// The connection is closed in the middle.
    Drops,
    /// More bytes are promised than come.
    TooShort,
    /// Every byte is another one.
    Corrupts,
    /// An error page.
    Refuses,
}

pub struct Server {
    pub address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serves `content` under any name that ends in `pre.tif`; all else is not found. From the request number `from` on
    /// the fault shows.
    pub fn start(content: Vec<u8>, fault: Fault, from: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (content, requests) = (Arc::new(content), Arc::new(AtomicUsize::new(0)));
        let counter = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (content, counter) = (content.clone(), counter.clone());
                std::thread::spawn(move || {
                    // A client that goes away ends the connection, not the test.
                    let _ = serve(stream, &content, fault, from, &counter);
                });
            }
        });
        Server { address, requests }
    }

    pub fn url(&self, name: &str) -> String {
        format!("/vsicurl/http://{}/{name}", self.address)
    }

    /// Requests for the file.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: TcpStream,
    content: &[u8],
    fault: Fault,
    from: usize,
    counter: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut range = None;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (a, b) = value.trim().split_once('-').unwrap();
                range = Some((a.parse::<usize>().unwrap(), b.parse::<usize>().ok()));
            }
        }
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if !path.ends_with("pre.tif") {
            write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let fault = if number >= from { fault } else { Fault::Healthy };
        let (begin, end) = match range {
            Some((a, b)) => (a.min(content.len()), b.map_or(content.len(), |b| (b + 1).min(content.len()))),
            None => (0, content.len()),
        };
        let part = &content[begin..end];
        match fault {
            Fault::Silent => {
                std::thread::sleep(Duration::from_secs(120));
                return Ok(());
            }
            Fault::Refuses => {
                write!(stream, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")?;
                continue;
            }
            _ => {}
        }
        match range {
            Some(_) => write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {begin}-{}/{}\r\n",
                end.saturating_sub(1),
                content.len()
            )?,
            None => write!(stream, "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\n")?,
        }
        write!(stream, "Content-Length: {}\r\n\r\n", part.len())?;
        if method == "HEAD" {
            continue;
        }
        match fault {
            Fault::Stalls => {
                stream.write_all(&part[..part.len() / 2])?;
                stream.flush()?;
                std::thread::sleep(Duration::from_secs(120));
                return Ok(());
            }
            Fault::Drops | Fault::TooShort => {
                let sent = if fault == Fault::Drops { part.len() / 2 } else { part.len().saturating_sub(1) };
                stream.write_all(&part[..sent])?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
            Fault::Corrupts => stream.write_all(&part.iter().map(|b| b ^ 0x5a).collect::<Vec<_>>())?,
            _ => stream.write_all(part)?,
        }
    }
}
