//! Numbers come back with the digits they came with, whichever way they took, or are refused.

use serde_json::json;

use crate::harness::{House, Served};

const MODEL: &str = "
[model]
name = \"ledger\"
[personal.contact]
purpose = \"account\"
basis = \"contract\"
retention = \"3 years\"
[entity.payer]
subject = true
[entity.payer.field]
handle = { type = \"text\", unique = true, not_personal = \"a name of the product's\" }
limit = { type = \"numeric\", personal = \"contact\", optional = true }
wei = { type = \"numeric\", not_personal = \"an amount\", optional = true }
parts = { type = \"numeric[]\", not_personal = \"amounts\", default = [] }
rate = { type = \"double\", not_personal = \"a rate\", optional = true }
extra = { type = \"jsonb\", not_personal = \"nothing of theirs\", default = {} }
";

const WEI: &str = "1234567890123456789.123456789012345678";

struct Room {
    house: House,
    server: Served,
    key: String,
}

impl Room {
    async fn new() -> Self {
        let house = House::empty().await;
        house.write("freehold.toml", MODEL);
        house.fine(&["apply"]);
        house.fine(&["tenant", "create", "a"]);
        house.fine(&["tenant", "create", "b"]);
        let (server, key) = (house.serve(), house.key("a"));
        Self { house, server, key }
    }

    fn send(&self, line: &str, body: &str) -> (u16, String) {
        let headers = [
            &*format!("apikey: {}", self.key),
            "prefer: return=representation",
            "content-type: application/json",
        ];
        let answer = self.server.ask(line, &headers, body.as_bytes());
        (answer.status, answer.body)
    }

    /// The row of `handle`, over HTTP and on the command line, as it is written there.
    fn shown(&self, handle: &str) -> [String; 2] {
        let query = format!("payer?select=wei,limit,parts,rate,extra&handle=eq.{handle}");
        let (status, body) = self.send(&format!("GET /rest/v1/{query}"), "");
        assert_eq!(status, 200, "{body}");
        [body, self.house.fine(&["query", &query, "--tenant", "a"])]
    }
}

fn has(text: &str, what: &str) {
    assert!(text.replace(' ', "").contains(what), "no {what} in {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_all_their_digits() {
    let room = Room::new().await;
    let row = |handle: &str| {
        format!(
            "{{\"handle\":\"{handle}\",\"wei\":{WEI},\"limit\":{WEI},\"parts\":[{WEI},1.5],\"rate\":0.1000000000000000055511151231257827}}"
        )
    };
    assert_eq!(room.send("POST /rest/v1/payer", &row("posted")).0, 201);
    assert_eq!(room.send("POST /rest/v1/payer", &format!("[{}]", row("many"))).0, 201);
    let several = format!(
        "{{\"changes\":[{{\"insert\":\"payer\",\"rows\":{}}},{{\"insert\":\"payer\",\"rows\":[{}]}},\
         {{\"update\":\"payer\",\"values\":{{\"wei\":{WEI}}},\"query\":\"handle=eq.changed\"}}]}}",
        row("one"),
        row("changed").replacen(WEI, "1", 1),
    );
    let (status, body) = room.send("POST /transaction", &several);
    assert_eq!(status, 200, "{body}");
    room.house.fine(&["insert", "payer", &row("typed"), "--tenant", "a"]);
    let lines = format!("{}\n{}\n", row("line"), row("line2"));
    room.house.write("rows.jsonl", lines);
    room.house.fine(&["import", "payer", "rows.jsonl", "--tenant", "a"]);
    room.house.write("rows.csv", format!("handle,wei,limit,parts,rate,extra\ncell,{WEI},{WEI},\"{{{WEI},1.5}}\",0.1,\"{{\"\"k\"\":[1.5]}}\"\n"));
    room.house.fine(&["import", "payer", "rows.csv", "--tenant", "a"]);
    for handle in ["posted", "many", "one", "changed", "typed", "line", "line2", "cell"] {
        for shown in room.shown(handle) {
            for what in ["wei", "limit"] {
                has(&shown, &format!("\"{what}\":{WEI}"));
            }
            has(&shown, &format!("\"parts\":[{WEI},1.5]"));
            has(&shown, "\"rate\":0.1,");
        }
    }
    has(&room.shown("cell")[0], "\"extra\":{\"k\":[1.5]}");

    // And on every way out: files of both kinds, and what a person is given of theirs.
    let inside = format!("update app.payer set extra = '{{\"k\": [{WEI}]}}'");
    room.house.db.client().await.batch_execute(&inside).await.unwrap();
    for format in ["jsonl", "csv"] {
        let file = format!("out.{format}");
        room.house.fine(&["export", "payer", &file, "--tenant", "a"]);
        let text = std::fs::read_to_string(room.house.path(&file)).unwrap();
        // Of eight rows `wei`, `limit`, one of `parts` and one inside `extra`.
        assert_eq!(text.matches(WEI).count(), 4 * 8, "{text}");
    }
    let posted = room.send("GET /rest/v1/payer?handle=eq.posted&select=id", "").1;
    let id = posted.split('"').nth(3).unwrap();
    room.house.fine(&["privacy", "export", "payer", id, "--tenant", "a", "posted.jsonl"]);
    let text = std::fs::read_to_string(room.house.path("posted.jsonl")).unwrap();
    assert_eq!(text.matches(WEI).count(), 4, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_another_number_is_refused() {
    let room = Room::new().await;
    room.house.db.client().await.batch_execute(
        "set role freehold_owner;
         create function app.same(n numeric) returns numeric language sql immutable as 'select n';
         create function app.half(n double precision) returns double precision language sql immutable as 'select n / 2';
         grant execute on all functions in schema app to freehold_app",
    ).await.unwrap();
    let server = room.house.serve();
    let call = |line: &str, body: &str| server.as_tenant(&room.key, line, body);
    let inside = format!("{{\"handle\":\"x\",\"extra\":{{\"deep\":[{{\"n\":{WEI}}}]}}}}");
    let (status, body) = room.send("POST /rest/v1/payer", &inside);
    assert_eq!(status, 400, "{body}");
    has(&body, "moredigits");
    has(&body, WEI);
    room.house.write("bad.jsonl", &inside);
    assert!(room.house.run(&["import", "payer", "bad.jsonl", "--tenant", "a"]).code != Some(0));
    room.house.write("bad.csv", format!("handle,extra\nx,\"{{\"\"n\"\":{WEI}}}\"\n"));
    assert!(room.house.run(&["import", "payer", "bad.csv", "--tenant", "a"]).code != Some(0));
    assert_eq!(room.house.number("select count(*) from app.payer").await, 0);
    let refused = call("POST /rest/v1/rpc/same", &format!("{{\"n\":{WEI}}}"));
    assert_eq!(refused.status, 400, "{refused:?}");
    has(&refused.body, "moredigits");
    assert_eq!(call("POST /rest/v1/rpc/same", &json!({ "n": WEI }).to_string()).body, WEI);
    let half = call("POST /rest/v1/rpc/half", "{\"n\":0.1000000000000000055511151231257827}");
    assert_eq!(half.body, "0.05");
}
