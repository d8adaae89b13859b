//! One transaction in psql, which can send statements with parameters of no type as the store does.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::Sql;

const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// Statements to run in order.
#[derive(Default)]
pub(super) struct Session {
    script: String,
    count: usize,
}

/// What one statement answered: its row, or the SQLSTATE it failed with. Messages differ between versions.
pub(super) type Answer = Result<Vec<Option<String>>, String>;

impl Session {
    /// Goes on as this tenant.
    pub(super) fn tenant(&mut self, tenant: &str) {
        self.plain(&format!("set local test.tenant = '{tenant}'"));
    }

    fn plain(&mut self, statement: &str) {
        self.script += &format!("{statement};\n");
    }

    /// Adds a statement; its answer has the number returned.
    pub(super) fn add(&mut self, sql: &Sql) -> usize {
        let quote = |param: &Option<String>| {
            let text = param.as_deref().expect("no parameter of a query is null");
            let text = text
                .replace('\\', "\\\\")
                .replace('\'', "''")
                .replace('\n', "\\n")
                .replace('\r', "\\r");
            format!(" '{text}'")
        };
        let params: String = sql.params().iter().map(quote).collect();
        self.script +=
            &format!("{}\n\\bind{params} \\g\n\\echo {FIELD}:SQLSTATE{RECORD}\n", sql.text());
        self.count += 1;
        self.count - 1
    }

    /// Runs everything and rolls back.
    pub(super) fn run(self) -> Vec<Answer> {
        let Some(url) = option_env!("FREEHOLD_TEST_DATABASE_URL") else {
            panic!("FREEHOLD_TEST_DATABASE_URL is set when these tests are built");
        };
        let psql = option_env!("FREEHOLD_TEST_PSQL").unwrap_or("psql");
        let mut child = Command::new(psql)
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", url])
            .arg(format!("--field-separator={FIELD}"))
            .args(["--set=ON_ERROR_ROLLBACK=on", "--set=VERBOSITY=verbose", "--pset=null=\u{1}"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let script = format!("begin;\n{}rollback;\n", self.script);
        let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<&str> =
            text.split_terminator(RECORD).map(str::trim_start).filter(|a| !a.is_empty()).collect();
        assert_eq!(answers.len(), self.count, "{errors}");
        answers
            .into_iter()
            .map(|answer| {
                let (row, state) = answer.rsplit_once(FIELD).unwrap();
                if state.trim() != "00000" {
                    return Err(state.trim().to_owned());
                }
                let row = row.strip_suffix('\n').unwrap_or(row);
                Ok(row
                    .split(FIELD)
                    .map(|value| (value != "\u{1}").then(|| value.to_owned()))
                    .collect())
            })
            .collect()
    }
}
