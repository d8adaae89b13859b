//! Attacks on the wall: a catalogue of what somebody with arbitrary SQL in one tenant's session can try against another
//! tenant, run against two tenants made for it. The tests and `freehold prove` run the same catalogue.
//!
//! An [`Arena`] is a database with both tenants and one row of each entity for each; an [`Attack`] is a value of the
//! [`catalogue`]; what comes of it is a [`Verdict`].

mod arena;
mod canary;
mod catalogue;
mod eve;
mod forge;
pub mod rows;
mod signature;

use std::pin::Pin;

pub use arena::{Arena, Canary};
pub use canary::CANARY;
pub use catalogue::catalogue;
pub(crate) use signature::sign_with;
pub use signature::{Signed, sign, verify};

use crate::error::Error;
use eve::Said;

/// What an attack goes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The tenant of the transaction, tokens and keys.
    Context,
    /// What one user of a pooled connection leaves to the next.
    Session,
    /// The wall around tables.
    Schema,
    /// Rights nobody looks at.
    Grants,
    /// Constraints that answer questions about others' rows.
    Oracle,
    /// Counters, plans and estimates.
    Statistics,
    /// What is not in tables: locks, messages, files.
    Effects,
    /// Time, memory and locks of others.
    Resources,
    /// Similarity search.
    Vectors,
    /// Freehold's own tables and functions.
    Platform,
}

impl Class {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Session => "session",
            Self::Schema => "schema",
            Self::Grants => "grants",
            Self::Oracle => "oracle",
            Self::Statistics => "statistics",
            Self::Effects => "effects",
            Self::Resources => "resources",
            Self::Vectors => "vectors",
            Self::Platform => "platform",
        }
    }
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was reached.
    Held {
        /// What held it: `kernel`, `gate`, `schema`, `pool`.
        by: &'static str,
    },
    /// The line was crossed.
    Leaked {
        /// What was seen or done.
        evidence: String,
    },
    /// It works, cannot be prevented on this server, and does not reach rows.
    Residual {
        /// Why.
        why: String,
    },
    /// There is nothing here that it could go for.
    NotApplicable {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// `held`, `LEAKED`, `residual` or `n/a`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Leaked { .. } => "LEAKED",
            Self::Residual { .. } => "residual",
            Self::NotApplicable { .. } => "n/a",
        }
    }

    /// What held it, what leaked, or why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Held { by } => by,
            Self::Leaked { evidence } => evidence,
            Self::Residual { why } | Self::NotApplicable { why } => why,
        }
    }
}

/// Something to try.
pub struct Attack {
    /// Stable: never given to another attack.
    pub id: &'static str,
    /// A few words.
    pub name: &'static str,
    /// What it tries, in a sentence.
    pub tries: &'static str,
    /// What it goes for.
    pub class: Class,
    /// Whether it may be run beside real tenants: it takes no locks that others wait for, ends nobody's backend, writes
    /// nothing that stays and does little work.
    pub safe: bool,
    by: &'static str,
    // Prevented only where PostgreSQL's own catalogue is locked, for which a superuser is needed.
    lockdown: bool,
    residual: Option<&'static str>,
    how: How,
}

type Run = for<'a> fn(&'a Arena) -> Pin<Box<dyn Future<Output = Result<Found, Error>> + Send + 'a>>;

enum How {
    /// Each of these, in a transaction of tenant A, has to be refused.
    Refused(&'static [&'static str]),
    /// None of these, in a transaction of tenant A, may show or touch what is B's.
    Blind(&'static [&'static str]),
    Run(Run),
}

/// What an attack found.
pub(crate) enum Found {
    Nothing,
    Leak(String),
    Residual(String),
    NothingThere(String),
}

impl Found {
    fn of(leaks: &[String]) -> Self {
        if leaks.is_empty() { Self::Nothing } else { Self::Leak(leaks.join("; ")) }
    }
}

impl Attack {
    /// Tries it.
    ///
    /// # Errors
    /// Faults of the connection; what PostgreSQL refuses is a verdict.
    pub async fn run(&self, arena: &Arena) -> Result<Verdict, Error> {
        let found = match self.how {
            How::Refused(statements) => refused(arena, statements).await?,
            How::Blind(statements) => blind(arena, statements).await?,
            How::Run(run) => run(arena).await?,
        };
        Ok(match found {
            Found::Nothing => Verdict::Held { by: self.by },
            Found::Leak(evidence) => match self.residual {
                Some(why) => Verdict::Residual { why: why.to_owned() },
                None if self.lockdown && !arena.is_locked() => Verdict::Residual {
                    why: format!("only a superuser can take this from PUBLIC: {evidence}"),
                },
                None => Verdict::Leaked { evidence },
            },
            Found::Residual(why) => Verdict::Residual { why },
            Found::NothingThere(why) => Verdict::NotApplicable { why },
        })
    }
}

async fn refused(arena: &Arena, statements: &[&str]) -> Result<Found, Error> {
    let (mut leaks, mut tried) = (Vec::new(), 0);
    let mut eve = arena.eve().await?;
    for template in statements {
        let Some(sql) = arena.fill(template) else { continue };
        match eve.within(arena.a(), &sql).await {
            said if said.is_refusal() => tried += 1,
            Said::No { state, message } => {
                arena.note_void(format!("{template}: {state} {message}"))
            }
            Said::Yes { .. } => {
                tried += 1;
                leaks.push(short(template));
                // It may have left something that the gate refuses the session for.
                eve = arena.eve().await?;
            }
        }
    }
    if tried == 0 {
        return Ok(Found::NothingThere("nothing of the kind is here".into()));
    }
    if leaks.is_empty() {
        return Ok(Found::Nothing);
    }
    Ok(Found::Leak(format!("{} of {tried} done: {}", leaks.len(), leaks.join("; "))))
}

async fn blind(arena: &Arena, statements: &[&str]) -> Result<Found, Error> {
    let (mut leaks, mut tried) = (Vec::new(), 0);
    let eve = arena.eve().await?;
    for template in statements {
        let Some(sql) = arena.fill(template) else { continue };
        tried += 1;
        let said = eve.within(arena.a(), &sql).await;
        if arena.spills(&sql, said.text()) {
            leaks.push(short(template));
        }
    }
    if tried == 0 {
        return Ok(Found::NothingThere("the model has nothing of the kind".into()));
    }
    if leaks.is_empty() {
        return Ok(Found::Nothing);
    }
    Ok(Found::Leak(format!("{} of {tried} showed B's: {}", leaks.len(), leaks.join("; "))))
}

fn short(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(70) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl Class {
    const fn attack(
        self,
        [id, name, tries]: [&'static str; 3],
        by: &'static str,
        how: How,
    ) -> Attack {
        Attack {
            id,
            name,
            tries,
            class: self,
            safe: true,
            by,
            lockdown: false,
            residual: None,
            how,
        }
    }

    const fn refused(
        self,
        words: [&'static str; 3],
        by: &'static str,
        all: &'static [&'static str],
    ) -> Attack {
        self.attack(words, by, How::Refused(all))
    }

    const fn blind(
        self,
        words: [&'static str; 3],
        by: &'static str,
        all: &'static [&'static str],
    ) -> Attack {
        self.attack(words, by, How::Blind(all))
    }

    const fn run(self, words: [&'static str; 3], by: &'static str, run: Run) -> Attack {
        self.attack(words, by, How::Run(run))
    }
}

impl Attack {
    const fn not_in_production(mut self) -> Self {
        self.safe = false;
        self
    }

    const fn needs_lockdown(mut self) -> Self {
        self.lockdown = true;
        self
    }

    const fn residual(mut self, why: &'static str) -> Self {
        self.residual = Some(why);
        self
    }
}
