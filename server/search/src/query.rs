//! What is sought, as the engine's queries.

use std::ops::Bound;

use protocol::{ChannelId, Seq, UserId};
use tantivy::query::{
    BooleanQuery, ConstScoreQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, Term};

use crate::find::{Asked, Readable};
use crate::index::EVERYBODY;
use crate::limits::{CHANNELS_FIRST_MAX, COMMON_DOCS};
use crate::schema::{Fields, key_of};
use crate::syntax::Needle;

/// The documents that have what is sought. Channels are part of it where that makes it cheaper; what is readable is looked
/// at hit by hit anyway.
pub(crate) fn of(
    asked: &Asked,
    readable: &Readable,
    searcher: &Searcher,
    fields: &Fields,
) -> tantivy::Result<BooleanQuery> {
    let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    let mut least = u64::MAX;
    for clause in &asked.sought.clauses {
        let occur = if clause.is_not { Occur::MustNot } else { Occur::Must };
        if !clause.is_not {
            least = least.min(documents(&clause.needle, searcher, fields)?);
        }
        parts.push((occur, one(&clause.needle, fields)));
    }
    if let Some(user) = asked.mentions {
        let terms = [user, EVERYBODY].map(|user| Term::from_field_u64(fields.mentions, user.0));
        let mentions: Box<dyn Query> = Box::new(TermSetQuery::new(terms));
        parts.push((Occur::Must, Box::new(ConstScoreQuery::new(mentions, 0.0))));
    }
    if readable.len() <= CHANNELS_FIRST_MAX && least > COMMON_DOCS {
        let terms = readable.keys().map(|key| Term::from_field_u64(fields.key, key));
        let channels: Box<dyn Query> = Box::new(TermSetQuery::new(terms));
        parts.push((Occur::Must, Box::new(ConstScoreQuery::new(channels, 0.0))));
    }
    Ok(BooleanQuery::new(parts))
}

/// At most so many documents have it.
fn documents(needle: &Needle, searcher: &Searcher, fields: &Fields) -> tantivy::Result<u64> {
    let mut least = u64::MAX;
    if !needle.is_prefix {
        for term in &needle.terms {
            least = least.min(searcher.doc_freq(&term_of(needle, &term.text, fields))?);
        }
    }
    Ok(least)
}

fn one(needle: &Needle, fields: &Fields) -> Box<dyn Query> {
    let mut terms = needle.terms.iter().map(|term| (term.at, term_of(needle, &term.text, fields)));
    match (terms.next(), needle.terms.len()) {
        (Some((_, term)), 1) if needle.is_prefix => Box::new(FuzzyTermQuery::new_prefix(term, 0, false)),
        (Some((_, term)), 1) => Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
        (first, _) => Box::new(PhraseQuery::new_with_offset(first.into_iter().chain(terms).collect())),
    }
}

fn term_of(needle: &Needle, text: &str, fields: &Fields) -> Term {
    Term::from_field_text(if needle.is_initials { fields.initials } else { fields.text }, text)
}

/// The messages of one sender in a channel with a smaller seq.
pub(crate) fn messages_of(channel: ChannelId, sender: UserId, below: Seq, fields: &Fields) -> BooleanQuery {
    let sender = Term::from_field_u64(fields.sender, sender.0);
    let range = RangeQuery::new(Bound::Included(sender.clone()), Bound::Included(sender));
    BooleanQuery::new(vec![
        (Occur::Must, Box::new(messages(channel, (Seq(0), below), fields)) as Box<dyn Query>),
        (Occur::Must, Box::new(range)),
    ])
}

/// The messages of a channel with `from <= seq < until`.
pub(crate) fn messages(channel: ChannelId, (from, until): (Seq, Seq), fields: &Fields) -> BooleanQuery {
    let channel = Term::from_field_u64(fields.key, key_of(channel));
    let bound = |seq: Seq| Term::from_field_u64(fields.seq, seq.0);
    let range = RangeQuery::new(Bound::Included(bound(from)), Bound::Excluded(bound(until)));
    BooleanQuery::new(vec![
        (Occur::Must, Box::new(TermQuery::new(channel, IndexRecordOption::Basic)) as Box<dyn Query>),
        (Occur::Must, Box::new(range)),
    ])
}
