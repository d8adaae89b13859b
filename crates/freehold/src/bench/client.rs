//! A lean HTTP client for load: one connection, one prepared request, answers read and not looked at further.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::output::Failure;

pub(super) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where in the buffer the last answer's body begins and ends.
    body: (usize, usize),
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10], body: (0, 0) })
    }

    /// Sends a whole request and reads its answer to the end.
    pub(super) async fn send(&mut self, request: &str) -> Result<(), Failure> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut read = 0;
        loop {
            let more = self.stream.read(&mut self.buffer[read..]).await?;
            read += more;
            if more == 0 || read == self.buffer.len() {
                return Err(Failure::Machine("the server hung up or answers too much".into()));
            }
            if let Some(body) = body(&self.buffer[..read])
                && read >= body.1
            {
                self.body = body;
                break;
            }
        }
        if self.buffer.starts_with(b"HTTP/1.1 20") {
            return Ok(());
        }
        Err(Failure::Machine(format!(
            "the server answers {}",
            String::from_utf8_lossy(&self.buffer[..read.min(300)])
        )))
    }

    /// The body of the last answer.
    pub(super) fn body(&self) -> &[u8] {
        &self.buffer[self.body.0..self.body.1]
    }
}

/// Where the body begins and ends, once the head is there.
fn body(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some((end, end + length))
}
