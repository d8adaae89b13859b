//! `freehold sql` over pipes and files, and the commands for drivers.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::harness::{Ended, House, ended, until};

fn typed(house: &House, arguments: &[&str], input: &str) -> Ended {
    let mut command = house.command(arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ended(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_one_transaction_and_a_script_is_many() {
    let house = House::new().await;
    let people = async || house.number("select count(*) from app.person").await;
    let add = |name: &str| format!("insert into person (handle) values ('{name}')");
    let sql = |text: &str| house.run(&["sql", "--tenant", "a", text]);

    let all = sql(&format!("{}; {}; selekt", add("one"), add("two")));
    assert_eq!((all.code, people().await), (Some(1), 0), "{all:?}");
    assert!(all.err.contains("[42601]") && all.err.contains("selekt"), "{all:?}");
    assert_eq!(sql(&format!("{}; {}", add("one"), add("two"))).code, Some(0));
    assert_eq!(people().await, 2);

    let script = format!("{};\n-- on\n{};\nselekt;\n{};", add("three"), add("four"), add("five"));
    let some = typed(&house, &["sql", "--tenant", "a"], &script);
    assert_eq!((some.code, people().await), (Some(1), 4), "{some:?}");
    assert!(some.err.contains("line 4: selekt;"), "{some:?}");
    house.write("some.sql", format!("begin; {};\ncommit; begin; {};", add("five"), add("six")));
    let open = house.run(&["sql", "--tenant", "a", "-f", "some.sql"]);
    assert_eq!((open.code, people().await), (Some(1), 5), "{open:?}");
    assert!(open.err.contains("not committed"), "{open:?}");
    let chained = format!("begin; {}; commit and chain; {}; rollback;", add("seven"), add("eight"));
    let chained = typed(&house, &["sql", "--tenant", "a"], &chained);
    assert_eq!((chained.code, people().await), (Some(0), 6), "{chained:?}");
    let other = house.fine(&["sql", "--tenant", "b", "--csv", "select handle from person"]);
    assert_eq!(other, "handle\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_to_stop_stops_and_leaves_nothing_running() {
    let house = House::new().await;
    let long = "insert into person (handle) values ('one'); select count(*) from generate_series(1, 3000000000)";
    house.write("long.sql", format!("{long};"));
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%3000000000%' and pid <> pg_backend_pid() \
         and datname = current_database()";
    for (signal, what) in
        [("-INT", &[long][..]), ("-TERM", &[long]), ("-TERM", &["-f", "long.sql"])]
    {
        let arguments = [&["sql", "--tenant", "a"], what].concat();
        let child = house.command(&arguments).spawn().unwrap();
        until("it runs", async || house.number(running).await == 1).await;
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let ended = ended(child);
        assert_eq!(
            (ended.code, ended.err.lines().last()),
            (Some(130), Some("stopping")),
            "{ended:?}"
        );
        until("it runs no more", async || house.number(running).await == 0).await;
    }
    // The texts were one transaction each, the script many.
    assert_eq!(house.number("select count(*) from app.person").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_for_people_or_for_programs() {
    let house = House::new().await;
    let text = "select 1 as a, null as b, 'x,\"y' as c, '' as d";
    assert_eq!(
        house.fine(&["sql", "--tenant", "a", "--csv", text]),
        "a,b,c,d\n1,,\"x,\"\"y\",\"\"\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&house.fine(&["--json", "sql", "--tenant", "a", text])).unwrap();
    assert_eq!(json["rows"][0], serde_json::json!(["1", null, "x,\"y", ""]));
    let refused = house.run(&["--json", "sql", "--tenant", "a", "select\n  nothing"]);
    let said: serde_json::Value = serde_json::from_str(refused.err.trim()).unwrap();
    assert_eq!(
        (&said["code"], &said["line"], &said["column"]),
        (&"42703".into(), &2.into(), &3.into())
    );
    let shown = house.run(&["sql", "--tenant", "a", text]);
    assert!(shown.out.contains('∅') && shown.err.contains("1 row"), "{shown:?}");
    assert!(house.fine(&["sql", "--tenant", "a", "\\d person"]).contains("unique (handle)"));
    let copy = house.run(&["sql", "--tenant", "a", "copy person from stdin"]);
    assert!(copy.code == Some(1) && copy.err.contains("freehold import"), "{copy:?}");
    let unknown = house.run(&["sql", "--tenant", "nobody", "select 1"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("no such tenant"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_for_a_tenant_that_is_there() {
    let house = House::new().await;
    let token = house.fine(&["token", "--tenant", "a", "--backend", "1", "--life", "5s"]);
    assert!(token.starts_with("v3.") && token.len() == 178, "{token}");
    for wrong in [
        &["token"][..],
        &["token", "--tenant", "a"],
        &["token", "--tenant", "a", "--backend", "1", "--life", "61s"],
        &["token", "--tenant", "a", "--backend", "1", "--stdin"],
    ] {
        assert_eq!(house.run(wrong).code, Some(2), "{wrong:?}");
    }
    house.fine(&["tenant", "suspend", "b"]);
    let answers = typed(&house, &["token", "--stdin"], "1 a\n1 b\n1 nobody\nnonsense\n2 a\n");
    assert_eq!(answers.code, Some(0), "{answers:?}");
    let lines: Vec<&str> = answers.out.lines().collect();
    assert!(lines[0].starts_with("v3.") && lines[4].starts_with("v3."), "{lines:?}");
    assert!(lines[1].contains("suspended") && lines[2].contains("no such tenant"), "{lines:?}");
    assert!(lines[3].starts_with("refused "), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_goes_into_a_file_and_nowhere_else() {
    let house = House::new().await;
    house.write("pass", "open to all");
    let shown = house.run(&["login", "--passfile", "pass"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let line = std::fs::read_to_string(house.path("pass")).unwrap();
    let password = line.trim_end().rsplit(':').next().unwrap();
    assert!(password.len() == 64 && line.contains(":freehold_app:"));
    assert!(!shown.out.contains(password) && !shown.err.contains(password));
    let mode = std::fs::metadata(house.path("pass")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let mut config: tokio_postgres::Config = shown.out.trim().parse().unwrap();
    let (client, connection) =
        config.password(password).connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one("select session_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "freehold_app");
}
