//! Rendered statements on a real PostgreSQL: what they answer, to the role and under the wall they are made for.

mod answers;
mod oracle;
mod session;
