//! The plain ways: a bare server that answers constant bytes, a Redis that has them under one key, and a server that reads them
//! there for each request, as a cache beside the database is written by hand.

use std::{
    io,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header},
    routing::get,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use super::super::client::Client;
use crate::output::Failure;

/// How long Redis may take to start, in tries of 20 ms.
const TRIES: u32 = 500;

/// The body that the server gives.
pub(super) async fn body(
    address: SocketAddr,
    request: &str,
    serving: impl Future<Output = io::Result<()>>,
) -> Result<Bytes, Failure> {
    let asking = async {
        let mut client = Client::connect(address).await?;
        client.send(request).await?;
        Ok(Bytes::copy_from_slice(client.body()))
    };
    tokio::select! {
        body = asking => body,
        served = serving => Err(served.err().map_or_else(|| Failure::Machine("the server stopped".into()), Into::into)),
    }
}

/// A server of the same library without anything of ours.
pub(super) struct Bare {
    listener: TcpListener,
    body: Bytes,
}

impl Bare {
    pub(super) async fn bind(body: Bytes) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind("127.0.0.1:0").await?, body })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) async fn run(self) -> io::Result<()> {
        let body = self.body;
        let answer = async move || ([(header::CONTENT_TYPE, "application/json")], body.clone());
        axum::serve(self.listener, Router::new().route("/rest/v1/item", get(answer))).await
    }
}

/// A server of the same library that reads its answer from Redis each time, on a connection that nobody else uses meanwhile.
pub(super) struct Aside {
    listener: TcpListener,
    redis: SocketAddr,
}

impl Aside {
    pub(super) async fn bind(redis: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind("127.0.0.1:0").await?, redis })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) async fn run(self) -> io::Result<()> {
        let (idle, redis) = (Arc::new(Mutex::new(Vec::<Getter>::new())), self.redis);
        let answer = async move || {
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut getter = match free {
                Some(getter) => getter,
                None => Getter::connect(redis).await.map_err(|_| StatusCode::BAD_GATEWAY)?,
            };
            let value = getter.get().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
            let value = Bytes::copy_from_slice(value);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(getter);
            Ok::<_, StatusCode>(([(header::CONTENT_TYPE, "application/json")], value))
        };
        axum::serve(self.listener, Router::new().route("/rest/v1/item", get(answer))).await
    }
}

/// A Redis of its own, which goes with this value.
pub(super) struct Redis {
    child: Child,
    _folder: TempDir,
    address: SocketAddr,
}

impl Redis {
    /// None if there is no `redis-server` on the PATH.
    pub(super) async fn start(body: &[u8]) -> Result<Option<Self>, Failure> {
        let folder = tempfile::tempdir()?;
        // Free until a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(address.port().to_string())
            .current_dir(folder.path())
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            child => child?,
        };
        let mut redis = Self { child, _folder: folder, address };
        for _ in 0..TRIES {
            if let Some(status) = redis.child.try_wait()? {
                return Err(Failure::Machine(format!("redis-server does not start: {status}")));
            }
            let Ok(mut getter) = Getter::connect(address).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            getter.set(body).await?;
            return Ok(Some(redis));
        }
        Err(Failure::Machine("redis-server takes too long to start".into()))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// One connection to it.
pub(super) struct Getter {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Getter {
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    async fn set(&mut self, value: &[u8]) -> Result<(), Failure> {
        let head = format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${}\r\n", value.len());
        self.stream.write_all(&[head.as_bytes(), value, b"\r\n"].concat()).await?;
        let read = self.stream.read(&mut self.buffer).await?;
        match self.buffer[..read].starts_with(b"+OK") {
            true => Ok(()),
            false => Err(said(&self.buffer[..read])),
        }
    }

    /// Asks for the value and reads it to the end.
    pub(super) async fn get(&mut self) -> Result<&[u8], Failure> {
        self.stream.write_all(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n").await?;
        let mut read = 0;
        loop {
            let more = self.stream.read(&mut self.buffer[read..]).await?;
            read += more;
            match whole(&self.buffer[..read]) {
                Some((begin, end)) if read >= end + 2 => return Ok(&self.buffer[begin..end]),
                _ if more == 0 || read == self.buffer.len() => {
                    return Err(said(&self.buffer[..read]));
                }
                _ => {}
            }
        }
    }
}

/// Where the value of `$LENGTH\r\n…\r\n` begins and ends, once its head is there.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let begin = bytes.windows(2).position(|window| window == b"\r\n")? + 2;
    let length = std::str::from_utf8(bytes.get(1..begin - 2)?).ok()?;
    bytes.starts_with(b"$").then(|| Some((begin, begin + length.parse::<usize>().ok()?))).flatten()
}

fn said(bytes: &[u8]) -> Failure {
    let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    Failure::Machine(format!("Redis answers {said:?}"))
}
