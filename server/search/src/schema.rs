//! What a document has. Ids that are not looked up are columns; a text is kept, so that a hit is shown without the store and
//! as it was last edited.

use protocol::ChannelId;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::TextAnalyzer;

use crate::tokens::{Terms, initials, words};

const WORDS: &str = "maru-words";
const INITIALS: &str = "maru-initials";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The channel by 64 bits of its id's mix: looked up and filtered by.
    pub(crate) key: Field,
    /// The channel itself.
    pub(crate) channel: Field,
    pub(crate) seq: Field,
    pub(crate) sender: Field,
    pub(crate) time_ms: Field,
    pub(crate) kind: Field,
    /// Whom it mentions; [`EVERYBODY`](crate::EVERYBODY) for all.
    pub(crate) mentions: Field,
    pub(crate) text: Field,
    pub(crate) initials: Field,
}

pub(crate) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = |name, has_norms| {
        let indexing = TextFieldIndexing::default().set_tokenizer(name).set_fieldnorms(has_norms);
        TextOptions::default()
            .set_indexing_options(indexing.set_index_option(IndexRecordOption::WithFreqsAndPositions))
    };
    let fields = Fields {
        key: schema.add_u64_field("key", INDEXED | FAST),
        channel: schema.add_bytes_field("channel", STORED),
        seq: schema.add_u64_field("seq", FAST),
        sender: schema.add_u64_field("sender", FAST),
        time_ms: schema.add_u64_field("time_ms", FAST),
        kind: schema.add_u64_field("kind", FAST),
        mentions: schema.add_u64_field("mentions", INDEXED),
        text: schema.add_text_field("text", indexing(WORDS, true) | STORED),
        initials: schema.add_text_field("initials", indexing(INITIALS, false)),
    };
    (schema.build(), fields)
}

pub(crate) fn register(index: &tantivy::Index) {
    index.tokenizers().register(WORDS, TextAnalyzer::builder(Terms(words)).build());
    index.tokenizers().register(INITIALS, TextAnalyzer::builder(Terms(initials)).build());
}

/// 64 bits for a channel. Two channels may share them, so whoever goes by them looks at the channel itself in the end.
pub(crate) fn key_of(channel: ChannelId) -> u64 {
    let [a, b] = [(channel.0 >> 64) as u64, channel.0 as u64];
    mix(mix(a) ^ b)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
