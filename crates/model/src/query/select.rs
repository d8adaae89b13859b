//! The list of `select`: fields, `*`, casts, embeds.

use super::{
    Limits,
    ast::{Aggregate, Embed, Item},
    lexer::Cursor,
    parse::{operand, within},
};
use crate::{Code, Refusal};

/// Reads the value of `select`.
pub(crate) fn items(value: &str, limits: &Limits) -> Result<Vec<Item>, Refusal> {
    let mut reader = Reader { cursor: Cursor::new("select", value), limits, count: 0 };
    let items = reader.list(0)?;
    reader.cursor.end()?;
    Ok(items)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    count: usize,
}

impl Reader<'_> {
    fn list(&mut self, depth: usize) -> Result<Vec<Item>, Refusal> {
        if depth > self.limits.depth_max {
            return Err(Refusal::new(Code::Limit, "the embeds are nested too deeply")
                .detail(format!("at most {} levels", self.limits.depth_max)));
        }
        let mut items = Vec::new();
        self.cursor.spaces();
        if self.cursor.done() || self.cursor.peek() == Some(')') {
            return Ok(items);
        }
        loop {
            items.push(self.item(depth)?);
            self.count += 1;
            within("select items", self.count, self.limits.parts_max)?;
            self.cursor.spaces();
            if !self.cursor.eat(",") {
                return Ok(items);
            }
            self.cursor.spaces();
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, Refusal> {
        let cursor = &mut self.cursor;
        if cursor.eat("*") {
            return Ok(Item::All);
        }
        if cursor.eat("...") {
            let target = cursor.word()?.text;
            return self.embed(None, target, depth).map(Item::Spread);
        }
        let mut first = operand(cursor)?;
        let mut alias = None;
        if cursor.ahead().starts_with(':') && !cursor.ahead().starts_with("::") {
            if !first.steps.is_empty() || first.measure.is_some() {
                return Err(cursor.fail("`,`"));
            }
            cursor.eat(":");
            alias = Some(first.column.text);
            first = operand(cursor)?;
        }
        let bare = first.steps.is_empty() && first.measure.is_none();
        if bare && first.column.is("count") && cursor.eat("()") {
            return Ok(Item::Count { alias, cast: cast(cursor)? });
        }
        let embeds = matches!(cursor.peek(), Some('(' | '!')) && bare;
        if embeds {
            return self.embed(alias, first.column.text, depth).map(Item::Embed);
        }
        let cast_first = cast(cursor)?;
        let aggregate = match aggregate(cursor) {
            Some(aggregate) => Some((aggregate, cast(cursor)?)),
            None => None,
        };
        Ok(Item::Column { alias, operand: first, cast: cast_first, aggregate })
    }

    fn embed(
        &mut self,
        alias: Option<String>,
        target: String,
        depth: usize,
    ) -> Result<Embed, Refusal> {
        let mut embed = Embed { alias, target, hint: None, inner: false, items: Vec::new() };
        let mut join_said = false;
        while self.cursor.eat("!") {
            let word = self.cursor.word()?;
            let join = word.is("inner") || word.is("left");
            if join && !join_said {
                join_said = true;
                embed.inner = word.is("inner");
            } else if !join && embed.hint.is_none() {
                embed.hint = Some(word.text);
            } else {
                return Err(self
                    .cursor
                    .fail("at most one hint and one of `!inner`, `!left`, then `(`"));
            }
        }
        self.cursor.expect("(")?;
        embed.items = self.list(depth + 1)?;
        self.cursor.expect(")")?;
        Ok(embed)
    }
}

fn cast(cursor: &mut Cursor) -> Result<Option<String>, Refusal> {
    if cursor.eat("::") { Ok(Some(cursor.word()?.text)) } else { Ok(None) }
}

/// `.sum()` and its like, if that is what comes next.
fn aggregate(cursor: &mut Cursor) -> Option<Aggregate> {
    Aggregate::ALL.into_iter().find(|aggregate| cursor.eat(&format!(".{}()", aggregate.name())))
}
