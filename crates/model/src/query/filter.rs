//! Filters: `field=operator.value`, and `and`/`or` trees of them.

use super::{
    Limits,
    ast::{Each, Is, Op, Operand, Test, Tree},
    lexer::Cursor,
    parse::{operand, within},
};
use crate::{Code, Refusal, suggest::did_you_mean};

const OPS: [(&str, Op); 13] = [
    ("eq", Op::Eq),
    ("neq", Op::Neq),
    ("gt", Op::Gt),
    ("gte", Op::Gte),
    ("lt", Op::Lt),
    ("lte", Op::Lte),
    ("like", Op::Like),
    ("ilike", Op::Ilike),
    ("match", Op::Match),
    ("imatch", Op::Imatch),
    ("cs", Op::Contains),
    ("cd", Op::Contained),
    ("ov", Op::Overlaps),
];

const SEARCHES: [(&str, &str); 4] = [
    ("fts", "to_tsquery"),
    ("plfts", "plainto_tsquery"),
    ("phfts", "phraseto_tsquery"),
    ("wfts", "websearch_to_tsquery"),
];

const RANGES: [&str; 5] = ["sl", "sr", "nxr", "nxl", "adj"];

fn known() -> impl Iterator<Item = &'static str> {
    let known = OPS.iter().map(|(text, _)| *text).chain(SEARCHES.iter().map(|(text, _)| *text));
    known.chain(["in", "is", "isdistinct", "nearest"])
}

/// Reads `[not.]operator.value` of a parameter of its own: the value runs to the end, quotes and commas included.
pub(crate) fn single(
    key: &str,
    value: &str,
    operand: Operand,
    limits: &Limits,
) -> Result<Tree, Refusal> {
    let mut reader = Reader { cursor: Cursor::new(key, value), limits, count: 0, nested: false };
    let (not, test) = reader.test()?;
    reader.cursor.end()?;
    Ok(Tree::Test { operand, not, test })
}

/// Reads the value of `and=` and `or=`.
pub(crate) fn group(
    key: &str,
    value: &str,
    all: bool,
    not: bool,
    limits: &Limits,
) -> Result<Tree, Refusal> {
    let mut reader = Reader { cursor: Cursor::new(key, value), limits, count: 0, nested: true };
    reader.cursor.spaces();
    let parts = reader.parts(1)?;
    reader.cursor.spaces();
    reader.cursor.end()?;
    Ok(Tree::Group { all, not, parts })
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    count: usize,
    nested: bool,
}

impl Reader<'_> {
    fn parts(&mut self, depth: usize) -> Result<Vec<Tree>, Refusal> {
        if depth > self.limits.depth_max {
            return Err(Refusal::new(Code::Limit, "the and/or tree is nested too deeply")
                .detail(format!("at most {} levels", self.limits.depth_max)));
        }
        self.cursor.expect("(")?;
        let mut parts = Vec::new();
        loop {
            self.cursor.spaces();
            parts.push(self.part(depth)?);
            self.count += 1;
            within("conditions", self.count, self.limits.parts_max)?;
            self.cursor.spaces();
            if !self.cursor.eat(",") {
                self.cursor.expect(")")?;
                return Ok(parts);
            }
        }
    }

    fn part(&mut self, depth: usize) -> Result<Tree, Refusal> {
        for (text, all, not) in [
            ("and", true, false),
            ("or", false, false),
            ("not.and", true, true),
            ("not.or", false, true),
        ] {
            let after = self.cursor.ahead().strip_prefix(text);
            if after.is_some_and(|after| after.trim_start().starts_with('(')) {
                self.cursor.eat(text);
                self.cursor.spaces();
                return Ok(Tree::Group { all, not, parts: self.parts(depth + 1)? });
            }
        }
        let operand = operand(&mut self.cursor)?;
        self.cursor.expect(".")?;
        let (not, test) = self.test()?;
        Ok(Tree::Test { operand, not, test })
    }

    fn test(&mut self) -> Result<(bool, Test), Refusal> {
        self.cursor.spaces();
        let not = self.cursor.eat("not.");
        let name = self.cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let mods = self.mods()?;
        if !self.cursor.eat(".") {
            let refusal = self.cursor.fail("an operator, a `.` and a value");
            return Err(if known().any(|known| known == name) {
                refusal.hint(format!("write {name}.<value>"))
            } else {
                refusal.hint("to compare for equality write eq.<value>")
            });
        }
        Ok((not, self.operation(name, mods)?))
    }

    fn mods(&mut self) -> Result<Option<Vec<String>>, Refusal> {
        if !self.cursor.eat("(") {
            return Ok(None);
        }
        let inside = self.cursor.take_while(|c| c != ')');
        self.cursor.expect(")")?;
        Ok(Some(inside.split(',').map(|text| text.trim().to_owned()).collect()))
    }

    fn operation(&mut self, name: &str, mods: Option<Vec<String>>) -> Result<Test, Refusal> {
        if let Some((_, op)) = OPS.iter().find(|(text, _)| *text == name) {
            let each = self.each(*op, mods)?;
            return Ok(Test::Compare { op: *op, each, value: self.value()? });
        }
        if let Some((_, function)) = SEARCHES.iter().find(|(text, _)| *text == name) {
            let mods = mods.unwrap_or_default();
            return Ok(Test::Search { function, mods, value: self.value()? });
        }
        if name == "nearest" {
            if self.nested {
                return Err(self
                    .cursor
                    .wrong("`nearest` is a clause of its own and cannot stand inside and/or"));
            }
            return Ok(Test::Nearest {
                mods: mods.unwrap_or_default(),
                operand: self.cursor.rest().to_owned(),
            });
        }
        if RANGES.contains(&name) {
            return Err(self
                .cursor
                .wrong(&format!("`{name}` compares ranges, and no field is a range"))
                .hint("compare the bounds with gt, gte, lt and lte"));
        }
        if mods.is_some() && ["in", "is", "isdistinct"].contains(&name) {
            return Err(self
                .cursor
                .wrong(&format!("{name} takes nothing in parentheses before its `.`")));
        }
        match name {
            "in" => self.list().map(Test::In),
            "is" => self.is().map(Test::Is),
            "isdistinct" => self.value().map(Test::Distinct),
            _ => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Refusal {
        let refusal =
            self.cursor.wrong(&format!("`{}` is not an operator", super::lexer::shorten(name)));
        refusal.hint(
            did_you_mean(name, known()).unwrap_or_else(|| {
                format!("operators are {}", known().collect::<Vec<_>>().join(", "))
            }),
        )
    }

    fn each(&self, op: Op, mods: Option<Vec<String>>) -> Result<Option<Each>, Refusal> {
        let Some(mods) = mods else { return Ok(None) };
        let takes = !matches!(op, Op::Neq | Op::Contains | Op::Contained | Op::Overlaps);
        match mods.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["any"] if takes => Ok(Some(Each::Any)),
            ["all"] if takes => Ok(Some(Each::All)),
            _ => Err(self
                .cursor
                .wrong("only (any) and (all) may follow an operator, and not every operator")),
        }
    }

    fn is(&mut self) -> Result<Is, Refusal> {
        let value = self.value()?;
        Ok(match value.to_ascii_lowercase().as_str() {
            "null" => Is::Null,
            "not_null" => Is::NotNull,
            "true" => Is::True,
            "false" => Is::False,
            "unknown" => Is::Unknown,
            _ => {
                return Err(self
                    .cursor
                    .wrong("`is` takes null, not_null, true, false or unknown")
                    .hint("to compare with a value write eq."));
            }
        })
    }

    fn list(&mut self) -> Result<Vec<String>, Refusal> {
        self.cursor.expect("(")?;
        let mut elements = Vec::new();
        if self.cursor.eat(")") {
            return Ok(elements);
        }
        loop {
            elements.push(if self.cursor.peek() == Some('"') {
                self.cursor.quoted()?
            } else {
                self.cursor.take_while(|c| c != ',' && c != ')').to_owned()
            });
            if !self.cursor.eat(",") {
                self.cursor.expect(")")?;
                within("values in a list", elements.len(), self.limits.list_max)?;
                return Ok(elements);
            }
        }
    }

    fn value(&mut self) -> Result<String, Refusal> {
        if !self.nested {
            return Ok(self.cursor.rest().to_owned());
        }
        match self.cursor.peek() {
            Some('"') => self.cursor.quoted(),
            Some('{') => {
                self.cursor.eat("{");
                let inside = self.cursor.take_while(|c| c != '{' && c != '}');
                self.cursor.expect("}")?;
                Ok(format!("{{{inside}}}"))
            }
            _ => Ok(self.cursor.take_while(|c| c != ',' && c != ')').to_owned()),
        }
    }
}
