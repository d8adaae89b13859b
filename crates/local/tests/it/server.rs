//! A server's life: killed, joined, left, stopped; and what is refused.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use freehold_local::{Error, Event, Major, Options, Server, default_cache_dir, stop};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::place::{Other, ask, options, place, psql};

fn start(options: &Options) -> Server {
    Server::start(options, &mut |_| {}).unwrap_or_else(|error| panic!("{}", error.report()))
}

/// Kills our child, and waits until it is dead without taking note of it.
fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
    kill_process(pid, Signal::KILL).expect("killed");
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("gone");
}

#[test]
fn data_survive_a_kill_and_a_restart() {
    let place = place();
    let options = Options { durable: true, ..options(&place.path().join("data")) };
    let server = start(&options);
    ask(&server, "create table kept as select 42 as n").expect("created");
    kill(server.pid());
    let again = start(&options);
    assert!(!again.attached());
    assert_eq!(ask(&again, "select n from kept").as_deref(), Ok("42"));
    drop(server);
    assert_eq!(again.stop().ok(), Some(true));
    let third = start(&options);
    assert_eq!(ask(&third, "select n from kept").as_deref(), Ok("42"));
}

#[test]
fn a_session_too_busy_to_notice_does_not_hinder_the_next_start() {
    let place = place();
    let options = options(&place.path().join("data"));
    let server = start(&options);
    let mut busy = Command::new(server.psql_path())
        .args(["-Xqc", "do $$ begin raise notice 'busy'; loop end loop; end $$"])
        .arg(server.admin_url("postgres"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql runs");
    let mut said = BufReader::new(busy.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("readable");
    assert!(line.contains("busy"), "{line}");
    kill(server.pid());
    let again = start(&options);
    assert!(!again.attached());
    assert_eq!(ask(&again, "select 1").as_deref(), Ok("1"));
    assert!(!busy.wait().expect("ends").success());
}

#[test]
fn the_last_one_turns_off_the_light() {
    let place = place();
    let options = options(&place.path().join("data"));
    let first = start(&options);
    let second = start(&options);
    assert!(second.attached() && second.pid() == first.pid());
    assert_eq!(first.stop().ok(), Some(false));
    assert_eq!(ask(&second, "select 1").as_deref(), Ok("1"));
    let url = second.admin_url("postgres");
    let psql_path = second.psql_path();
    drop(second);
    assert!(psql(&psql_path, &url, "select 1").is_err());
}

#[test]
fn the_server_of_a_killed_process_is_taken_over() {
    let place = place();
    let data = place.path().join("data");
    let mut other = Other::start(&data, &default_cache_dir(), |_| {});
    let url = other.url();
    other.child.kill().expect("killed");
    other.child.wait().expect("gone");
    let mut events = Vec::new();
    let server = Server::start(&options(&data), &mut |event| events.push(event)).expect("joined");
    assert!(server.attached());
    assert_eq!(events.last(), Some(&Event::Ready { attached: true }));
    assert_eq!(server.admin_url("postgres"), url);
    assert_eq!(server.stop().ok(), Some(true), "nobody else uses it");
}

#[test]
fn two_at_once_share_one_server() {
    let place = place();
    let data = place.path().join("data");
    let mut others = [(); 2].map(|()| Other::start(&data, &default_cache_dir(), |_| {}));
    let [one, two] = others.each_mut().map(Other::url);
    assert_eq!(one, two);
    let server = start(&options(&data));
    assert!(server.attached());
    let [one, two] = others;
    assert!(one.end() && two.end());
    assert_eq!(ask(&server, "select 1").as_deref(), Ok("1"));
}

#[test]
fn a_detached_server_stays_until_it_is_stopped() {
    let place = place();
    let options = options(&place.path().join("data"));
    start(&options).detach();
    let server = start(&options);
    assert!(server.attached());
    server.detach();
    assert_eq!(stop(&options.data_dir).ok(), Some(true));
    assert_eq!(stop(&options.data_dir).ok(), Some(false));
    assert_eq!(stop(&place.path().join("never")).ok(), Some(false));
}

#[test]
fn a_socket_path_that_would_be_too_long_is_avoided() {
    let place = place();
    for name in ["x".repeat(120), "a space, a comma & more".into()] {
        let server = start(&options(&place.path().join(name)));
        assert_eq!(ask(&server, "select 1").as_deref(), Ok("1"));
        let url = server.admin_url("postgres");
        assert!(url.contains("host=/tmp/freehold-"), "{url}");
        drop(server);
        let folder =
            url.split_once("host=").and_then(|(_, rest)| rest.split_once('&')).expect("a host").0;
        fs::remove_dir(folder).expect("nothing is left in it");
    }
}

#[test]
fn another_major_version_is_refused_and_runs_in_its_own_folder() {
    let place = place();
    let old = Options { major: Major::V16, ..options(&place.path().join("old")) };
    let server = start(&old);
    assert_eq!(
        ask(&server, "show server_version_num").map(|text| text[..2].to_owned()).as_deref(),
        Ok("16")
    );
    let error =
        Server::start(&options(&place.path().join("old")), &mut |_| {}).expect_err("made by 16");
    assert!(matches!(&error, Error::WrongMajor { found, .. } if found == "16"), "{error}");
}

#[test]
fn a_failed_start_shows_the_end_of_the_log() {
    let place = place();
    let mut options = options(&place.path().join("data"));
    options.settings = vec![("shared_buffers".into(), "much".into())];
    let error = Server::start(&options, &mut |_| {}).expect_err("nonsense");
    let said = error.to_string();
    assert!(
        said.contains("did not start") && said.contains("invalid value for parameter"),
        "{said}"
    );
    options.settings.clear();
    assert_eq!(ask(&start(&options), "select 1").as_deref(), Ok("1"), "and it can be mended");
}

#[test]
fn what_a_crash_broke_is_made_anew_only_if_it_is_not_durable() {
    for durable in [true, false] {
        let place = place();
        let options = Options { durable, ..options(&place.path().join("data")) };
        let broken = |server: Server| {
            server.crash().expect("it ends");
            let control = options.data_dir.join("pg/global/pg_control");
            fs::write(control, "nothing that PostgreSQL wrote").expect("written");
            Server::start(&options, &mut |_| {})
        };
        let found = broken(start(&options));
        if durable {
            let error = found.expect_err("rows are not thrown away");
            assert!(error.to_string().contains("did not start"), "{error}");
            assert!(options.data_dir.join("pg/base").is_dir());
        } else {
            assert_eq!(ask(&found.expect("made anew"), "select 1").as_deref(), Ok("1"));
        }
    }
}

#[test]
fn what_others_can_read_is_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let data = place.path().join("data");
    let server = start(&options(&data));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&data.join("password")), 0o600);
    assert_eq!(mode(&server.log_path()), 0o600);
    assert_eq!(mode(&data.join("run")), 0o700);
    assert_eq!(mode(&data.join("pg")), 0o700);
    let url = server.admin_url("postgres");
    let (head, tail) = url.split_once('@').expect("a password");
    let without = format!("{}@{tail}", &head[..head.rfind(':').expect("a password")]);
    let refused = psql(
        &server.psql_path(),
        &without.replace("?", "?require_auth=scram-sha-256&"),
        "select 1",
    );
    assert!(refused.is_err_and(|said| said.contains("password")));
    assert_eq!(
        ask(&server, "select rolname from pg_authid where rolpassword not like 'SCRAM-SHA-256$%'")
            .as_deref(),
        Ok("")
    );
}

#[test]
fn a_folder_that_cannot_be_entered_is_named() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = place();
    let closed = place.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("closed");
    let error = Server::start(&options(&closed.join("data")), &mut |_| {}).expect_err("closed");
    assert!(
        matches!(&error, Error::Unreachable { closed: found, .. } if *found == closed.canonicalize().expect("there")),
        "{error}"
    );
}
