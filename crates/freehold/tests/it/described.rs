//! The API's document: what it says of rows is what rows are.

use serde_json::json;

use crate::harness::House;

const MODEL: &str = "
[model]
name = \"described\"
[entity.item.field]
name = { type = \"text\", min_length = 1, max_length = 20 }
state = { enum = [\"open\", \"done\"], default = \"open\" }
stars = { type = \"integer\", default = 3, min = 0, max = 5 }
price = { type = \"numeric(10,2)\", optional = true, min = 0.5 }
tags = { type = \"text[]\", default = [], max_length = 9 }
extra = { type = \"jsonb\", default = { k = 1 } }
seen = { type = \"boolean\", default = false }
at = { type = \"timestamptz\", default = \"now()\" }
mark = { vector = 3 }
[read.by_state]
key = [\"state\"]
sql = \"select state, count(*) as items from item group by state\"
";

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_what_rows_are() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    let (server, key) = (house.serve(), house.key("a"));
    let document = server.as_tenant(&key, "GET /rest/v1/", "").json();
    let item = &document["definitions"]["item"];
    for (field, expected) in [
        ("name", json!({ "format": "text", "type": "string", "minLength": 1, "maxLength": 20 })),
        (
            "state",
            json!({ "format": "text", "type": "string", "enum": ["open", "done"], "default": "open" }),
        ),
        (
            "stars",
            json!({ "format": "integer", "type": "integer", "minimum": 0, "maximum": 5, "default": 3 }),
        ),
        (
            "price",
            json!({ "format": "numeric(10,2)", "type": "number", "minimum": 0.5, "x-nullable": true }),
        ),
        (
            "tags",
            json!({ "format": "text[]", "type": "array", "items": { "type": "string" }, "maxItems": 9, "default": [] }),
        ),
        ("extra", json!({ "format": "jsonb", "default": { "k": 1 } })),
        ("seen", json!({ "format": "boolean", "type": "boolean", "default": false })),
        ("at", json!({ "format": "timestamptz", "type": "string", "default": "now()" })),
    ] {
        assert_eq!(item["properties"][field], expected, "{field}");
    }
    // A new row has to have them; one that is read has what `select` says.
    assert_eq!(item["required"], json!(["name", "mark"]));
    let row = &document["definitions"]["item.row"];
    assert_eq!((&row["required"], &row["properties"]), (&json!(null), &item["properties"]));
    let body = &document["parameters"]["body.item"]["schema"];
    assert_eq!(*body, json!({ "$ref": "#/definitions/item" }));
    for (path, definition) in [("/item", "item"), ("/by_state", "by_state")] {
        for status in ["200", "206"] {
            let rows = &document["paths"][path]["get"]["responses"][status]["schema"];
            let row = json!({ "$ref": format!("#/definitions/{definition}.row") });
            assert_eq!(*rows, json!({ "type": "array", "items": row }), "{path} {status}");
        }
    }
    let nullable = &document["definitions"]["by_state"]["properties"]["items"]["x-nullable"];
    assert_eq!(*nullable, json!(true));
}
