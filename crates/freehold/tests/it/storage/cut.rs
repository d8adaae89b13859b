//! A way to the storage that breaks: it cuts connections in the middle of what is sent.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

/// Passes on what it gets until the process ends.
pub(super) struct Cut {
    pub(super) address: String,
    cuts: Arc<AtomicUsize>,
}

impl Cut {
    pub(super) fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cuts, target) = (Arc::new(AtomicUsize::new(0)), target.to_owned());
        let left = cuts.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let left = left.clone();
                std::thread::spawn(move || pass(&client, &forth, &left));
                std::thread::spawn(move || {
                    let _ = io::copy(&mut &server, &mut &back);
                    let _ = back.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, cuts }
    }

    /// Cuts the next so many connections on which more than a megabyte is sent.
    pub(super) fn cut(&self, times: usize) {
        self.cuts.store(times, SeqCst);
    }

    pub(super) fn left(&self) -> usize {
        self.cuts.load(SeqCst)
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, left: &AtomicUsize) {
    let (mut buffer, mut sent) = (vec![0; 64 << 10], 0);
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        sent += read;
        let cut =
            sent > 1 << 20 && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if read == 0 || cut || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
