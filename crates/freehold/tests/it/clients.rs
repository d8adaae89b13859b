//! Clients of PostgREST from npm and PyPI, unmodified, against the server: what examples/clients does is what happens.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    harness::{House, ended},
    registry,
};

/// The newest of each that runs on the oldest Node and Python we test with.
const SUPABASE_JS: &str = "@supabase/supabase-js@2.119.1";
const POSTGREST_JS: &str = "@supabase/postgrest-js@2.109.0";
const POSTGREST_PY: &str = "postgrest==2.34.1";
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const HYPOTHESIS: &str = "hypothesis==6.170.17";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/clients")
}

/// With the example's model and functions, and two tenants.
async fn house() -> House {
    let house = House::empty().await;
    house.write("freehold.toml", fs::read(examples().join("freehold.toml")).unwrap());
    house.fine(&["apply"]);
    let functions = fs::read_to_string(examples().join("functions.sql")).unwrap();
    house.db.client().await.batch_execute(&functions).await.unwrap();
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    house
}

/// Runs a program of the example with the server's address and a key of each tenant.
async fn run(program: &Path, script: &Path) {
    let house = house().await;
    let (key, other) = (house.key("a"), house.key("b"));
    let served = house.serve();
    let mut command = Command::new(program);
    command.arg(script).args([&served.url(), &key, &other]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = ended(command.spawn().unwrap());
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    assert!(ended.out.ends_with("all as it should be\n"), "{ended:?}");
}

/// Node finds packages beside the script, so the scripts go where the package is.
fn beside(package: &str, script: &str) -> PathBuf {
    let folder = registry::node(package);
    for name in ["films.mjs", script] {
        fs::copy(examples().join(name), folder.join(name)).unwrap();
    }
    folder.join(script)
}

#[tokio::test(flavor = "multi_thread")]
async fn supabase_js_from_npm_works_unmodified() {
    run(Path::new("node"), &beside(SUPABASE_JS, "supabase.mjs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgrest_js_from_npm_works_unmodified() {
    run(Path::new("node"), &beside(POSTGREST_JS, "postgrest.mjs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgrest_from_pypi_works_unmodified() {
    let python = registry::python("postgrest-2.34", &[POSTGREST_PY]);
    run(&python.join("bin/python"), &examples().join("films.py")).await;
}

/// What the document promises is held to, also for requests made up to break it. Answers without a body have no media
/// type, which Schemathesis takes for a fault, so it is not asked about those.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_fault() {
    const CHECKS: &str =
        "not_a_server_error,status_code_conformance,response_schema_conformance,ignored_auth";
    let house = house().await;
    let key = house.key("a");
    let served = house.serve();
    let packages = [SCHEMATHESIS, HYPOTHESIS];
    let program = registry::python("schemathesis-4.32.5", &packages).join("bin/python");
    let mut command = Command::new(program);
    command.args(["-m", "schemathesis.cli", "run", &format!("{}/rest/v1/", served.url())]);
    command.args(["--header", &format!("apikey:{key}"), "--checks", CHECKS]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1"]);
    command.args(["--continue-on-failure", "--no-shrink", "--max-time", "45"]);
    command.args(["--warnings", "off", "--suppress-health-check", "all"]);
    // It keeps what it finds in the folder it is run in.
    command.current_dir(house.dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = ended(command.spawn().unwrap());
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    assert!(ended.out.contains("generated"), "{}", ended.out);
}
