//! The prompt of `freehold sql`, on a terminal.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use rustix::process::{Pid, Signal};

use crate::harness::{House, until};

/// A program on a terminal of its own.
struct Terminal {
    keys: File,
    screen: Receiver<Vec<u8>>,
    shown: String,
    child: Child,
}

impl Terminal {
    fn open(house: &House, arguments: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs =
            OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = house.command(arguments);
        command.env("TERM", "xterm");
        let side = || Stdio::from(theirs.try_clone().unwrap());
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (send, receive) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                let _ = send.send(bytes[..n].to_vec());
            }
        });
        Self { keys, screen: receive, shown: String::new(), child }
    }

    /// Waits for the text; what was shown before it.
    fn until(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let left = Duration::from_secs(60).saturating_sub(begun.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("never showed {text:?}: {:?}", self.shown),
            }
        }
    }

    /// Types a line at this sign; what is shown up to the next.
    fn ask(&mut self, line: &str, next: &str) -> String {
        self.keys.write_all(line.as_bytes()).unwrap();
        self.keys.write_all(b"\r").unwrap();
        // Until then the line is drawn again and again.
        self.until("\n");
        self.until(next)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_has_transactions_history_and_the_tables_of_the_model() {
    let house = House::new().await;
    std::fs::create_dir(house.path("kept")).unwrap();
    let arguments = ["--state", "kept", "sql", "--tenant", "a"];
    let mut terminal = Terminal::open(&house, &arguments);
    terminal.until("a=> ");
    let shown = terminal.ask("\\d", "a=> ");
    assert!(shown.contains("person") && shown.contains("note"), "{shown}");
    let shown = terminal.ask("\\d note", "a=> ");
    assert!(shown.contains("refers to person, emptied with it"), "{shown}");
    assert!(shown.contains("vector(64)") && shown.contains("made of title by lexical"), "{shown}");
    assert!(terminal.ask("\\d nothing", "a=> ").contains("there is no table nothing"));

    terminal.ask("insert into person (handle)", "a-> ");
    assert!(terminal.ask("values ('ann; or not');", "a=> ").contains("1 row"));

    terminal.ask("begin;", "a=*> ");
    terminal.ask("insert into person (handle) values ('bob');", "a=*> ");
    terminal.ask("savepoint s;", "a=*> ");
    let shown = terminal.ask("select handel from person;", "a=!> ");
    assert!(shown.contains("column \"handel\" does not exist [42703]"), "{shown}");
    assert!(shown.contains("line 1: select handel from person;"), "{shown}");
    assert!(terminal.ask("select 1;", "a=!> ").contains("25P02"));
    terminal.ask("rollback to s;", "a=*> ");
    assert!(terminal.ask("select count(*) from person;", "a=*> ").contains('2'));
    terminal.ask("rollback;", "a=> ");
    assert!(terminal.ask("select count(*) from person;", "a=> ").contains('1'));

    terminal.ask("begin;", "a=*> ");
    terminal.ask("selekt;", "a=!> ");
    assert!(terminal.ask("commit;", "a=> ").contains("rolled back"));

    assert!(terminal.ask("\\x", "a=> ").contains("expanded is on"));
    assert!(terminal.ask("select 'é' as one, null as two;", "a=> ").contains("two  ∅"));
    terminal.ask("\\x", "a=> ");
    assert!(terminal.ask("\\timing", "a=> ").contains("timing is on"));
    assert!(terminal.ask("select 1;", "a=> ").contains(" ms"));

    // What closes a backend to tenants costs only its settings.
    terminal.ask("prepare mine as select 1;", "a=> ");
    assert!(terminal.ask("select 2;", "a=> ").contains("a new backend"));
    terminal.ask("table not", "a-> ");
    terminal.keys.write_all(&[3]).unwrap();
    terminal.until("a=> ");

    let long = "select count(*) from generate_series(1, 9e9)";
    terminal.keys.write_all(format!("{long};\r").as_bytes()).unwrap();
    let running = format!(
        "select count(*) from pg_stat_activity where state = 'active' and query = '{long};'"
    );
    until("the statement runs", async || house.number(&running).await == 1).await;
    let process = Pid::from_child(&terminal.child);
    rustix::process::kill_process(process, Signal::INT).unwrap();
    terminal.until("stopped");
    terminal.until("a=> ");
    assert!(terminal.ask("select 4 as four;", "a=> ").contains("four"));

    terminal.ask("begin;", "a=*> ");
    let left = terminal.ask("\\q", "not committed");
    assert!(left.contains("rolled back"), "{left}");
    assert!(terminal.child.wait().unwrap().success());

    let history = house.path("kept/sql_history");
    assert!(std::fs::read_to_string(&history).unwrap().contains("values ('ann; or not');"));
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(house.number("select count(*) from app.person").await, 1);
}
