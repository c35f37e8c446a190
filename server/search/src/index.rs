//! The index as its one writer sees it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::{ChannelId, Seq, UserId};
use tantivy::collector::Count;
use tantivy::indexer::{IndexWriter, IndexWriterOptions, LogMergePolicy};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, IndexReader, ReloadPolicy, TERMINATED, TantivyDocument, TantivyError, Term};

use crate::find::Finder;
use crate::limits::WRITER_BYTES;
use crate::places::Places;
use crate::query;
use crate::schema::{Fields, key_of, register, schema};

/// Of a segment's documents so many in a hundred may be gone before it is written anew without them.
const GONE_MAX: f32 = 0.2;

/// Why the index does not do it. It never holds what the store does not, so all of these are mended by making it anew.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The directory: no room, no right, no disk.
    #[error("{place}: {error}")]
    Io {
        /// Where.
        place: String,
        /// Why.
        error: io::Error,
    },
    /// What is there cannot be read, or the engine failed.
    #[error("{0}")]
    Engine(#[from] TantivyError),
}

impl IndexError {
    /// Whether files are damaged, so that making the index anew helps; and not the disk full or the machine short of something.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        let is_room = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
                || error.raw_os_error().is_some_and(|code| [23, 24].contains(&code))
        };
        match self {
            Self::Io { .. } => false,
            Self::Engine(TantivyError::IoError(error)) => !is_room(error),
            Self::Engine(_) => true,
        }
    }
}

/// Stands among those mentioned for all. Nobody is user 0.
pub const EVERYBODY: UserId = UserId(0);

/// What is searched of one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// With `seq`, the message's name.
    pub channel: ChannelId,
    /// See `channel`.
    pub seq: Seq,
    /// Who sent it.
    pub sender: UserId,
    /// When.
    pub time_ms: u64,
    /// Its kind's number.
    pub kind: u16,
    /// Whom it mentions; [`EVERYBODY`] among them when it mentions all.
    pub mentions: Vec<UserId>,
    /// Its words.
    pub text: String,
}

/// What happens to the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A message that is not there yet.
    Put(Document),
    /// A message as it is now, whether it is there or not.
    Replace(Document),
    /// A message that is to be found no longer, whether it is there or not.
    Remove {
        /// With `seq`, the message's name.
        channel: ChannelId,
        /// See `channel`.
        seq: Seq,
    },
    /// Messages of a channel that are to be found no longer: their sender was erased.
    Erase {
        /// The channel.
        channel: ChannelId,
        /// Who sent them.
        sender: UserId,
        /// Those with a smaller seq.
        below: Seq,
    },
    /// Messages of a channel that are to be found no longer: they were purged.
    Purge {
        /// The channel.
        channel: ChannelId,
        /// Those with a smaller seq.
        below: Seq,
    },
}

/// What was found when an index was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// The index as it was left.
    Kept,
    /// None: it is empty now.
    Empty,
    /// One that cannot be used, and is empty now; says why.
    Emptied(String),
}

/// What an index holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Messages that are found.
    pub documents: u64,
    /// Pieces, each searched by itself.
    pub segments: u64,
    /// Of its files.
    pub bytes: u64,
}

/// One directory's index. Threads of the engine are started with the first change, by the thread that brings it, and have
/// its priority.
pub struct Index {
    place: PathBuf,
    engine: tantivy::Index,
    fields: Fields,
    reader: IndexReader,
    writer: Option<IndexWriter>,
    places: Places,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index of a directory. Whatever is there and is no index of ours gives way to an empty one.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn open(place: &Path) -> Result<(Self, Opened), IndexError> {
        let io = |error| IndexError::Io { place: place.display().to_string(), error };
        let is_empty = !place.exists() || fs::read_dir(place).map_err(io)?.next().is_none();
        if is_empty {
            fs::create_dir_all(place).map_err(io)?;
            return Ok((Self::create(place)?, Opened::Empty));
        }
        let why = match Self::existing(place) {
            Ok(Some(index)) => return Ok((index, Opened::Kept)),
            Ok(None) => "it is of another version".into(),
            Err(error) => error.to_string(),
        };
        fs::remove_dir_all(place).map_err(io)?;
        fs::create_dir_all(place).map_err(io)?;
        Ok((Self::create(place)?, Opened::Emptied(why)))
    }

    fn existing(place: &Path) -> Result<Option<Self>, IndexError> {
        let engine = tantivy::Index::open_in_dir(place)?;
        let is_ours = engine.schema() == schema().0;
        let payload = engine.load_metas()?.payload;
        let places = match &payload {
            Some(text) => Places::decode(text),
            // Made, and not written to since.
            None => Some(Places::default()),
        };
        let Some(places) = places.filter(|_| is_ours) else { return Ok(None) };
        Ok(Some(Self::assemble(place, engine, places)?))
    }

    fn create(place: &Path) -> Result<Self, IndexError> {
        let engine = tantivy::Index::create_in_dir(place, schema().0)?;
        Self::assemble(place, engine, Places::default())
    }

    fn assemble(place: &Path, engine: tantivy::Index, places: Places) -> Result<Self, IndexError> {
        register(&engine);
        // The writer says when there is something new; nobody watches files.
        let reader = engine.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let (_, fields) = schema();
        Ok(Self { place: place.to_owned(), engine, fields, reader, writer: None, places })
    }

    /// How far it goes, as of the last commit.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What answers searches, from any thread.
    #[must_use]
    pub fn finder(&self) -> Finder {
        Finder::new(self.reader.clone(), self.fields)
    }

    /// Takes a change. It is found, and is durable, after the next commit.
    ///
    /// # Errors
    /// [`IndexError`]; what was not committed is lost.
    pub fn apply(&mut self, change: Change) -> Result<(), IndexError> {
        let fields = self.fields;
        let writer = self.writer()?;
        let (gone, comes) = match change {
            Change::Put(document) => (None, Some(document)),
            Change::Replace(document) => {
                (Some((document.channel, document.seq, document.seq.next())), Some(document))
            }
            Change::Remove { channel, seq } => (Some((channel, seq, seq.next())), None),
            Change::Erase { channel, sender, below } => {
                let query = query::messages_of(channel, sender, below, &fields);
                writer.delete_query(Box::new(query))?;
                return Ok(());
            }
            // Two channels may share a key, and then the other loses what it must not: the store is asked about each hit, and an index
            // that misses something is made anew by command. Of 2^32 channels two in all share one.
            Change::Purge { channel, below } => (Some((channel, Seq(0), below)), None),
        };
        if let Some((channel, from, until)) = gone {
            writer.delete_query(Box::new(query::messages(channel, (from, until), &fields)))?;
        }
        if let Some(document) = comes {
            writer.add_document(row(document, &fields))?;
        }
        Ok(())
    }

    /// Makes what was taken durable, with how far it goes, and lets it be found.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was at the last commit.
    pub fn commit(&mut self, places: &Places) -> Result<(), IndexError> {
        let mut prepared = self.writer()?.prepare_commit()?;
        prepared.set_payload(&places.encode());
        prepared.commit()?;
        self.places = places.clone();
        Ok(self.reader.reload()?)
    }

    /// Empties it.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn clear(&mut self) -> Result<(), IndexError> {
        self.writer()?.delete_all_documents()?;
        self.commit(&Places::default())
    }

    /// The newest message of a channel that came in, one that was removed since perhaps among them; 0 for none. As of the last
    /// commit.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn newest(&self, channel: ChannelId) -> Result<Seq, IndexError> {
        let term = Term::from_field_u64(self.fields.key, key_of(channel));
        let mut newest = 0;
        for segment in self.reader.searcher().segment_readers() {
            let inverted = segment.inverted_index(self.fields.key)?;
            let postings = inverted.read_postings(&term, IndexRecordOption::Basic);
            let Some(mut postings) = postings.map_err(TantivyError::from)? else { continue };
            let seqs = segment.fast_fields().u64("seq")?;
            let mut doc = postings.doc();
            while doc != TERMINATED {
                newest = newest.max(seqs.first(doc).unwrap_or_default());
                doc = postings.advance();
            }
        }
        Ok(Seq(newest))
    }

    /// Whether it holds messages of a channel below a seq, as of the last commit.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn holds_below(&self, channel: ChannelId, below: Seq) -> Result<bool, IndexError> {
        let query = query::messages(channel, (Seq(0), below), &self.fields);
        let found = self.reader.searcher().search(&query, &Count)?;
        Ok(found > 0)
    }

    /// What it holds, as of the last commit.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let searcher = self.reader.searcher();
        let files = fs::read_dir(&self.place).into_iter().flatten().flatten();
        Sizes {
            documents: searcher.num_docs(),
            segments: searcher.segment_readers().len() as u64,
            bytes: files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum(),
        }
    }

    /// Waits until what is being put together is done. For measurements.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn settle(&mut self) -> Result<(), IndexError> {
        if let Some(writer) = self.writer.take() {
            writer.wait_merging_threads()?;
        }
        Ok(self.reader.reload()?)
    }

    /// Ends the engine's threads; what was not committed is lost. The next change starts them again.
    pub fn close(&mut self) {
        self.writer = None;
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, IndexError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let options = IndexWriterOptions::builder()
                    .memory_budget_per_thread(WRITER_BYTES)
                    .num_worker_threads(1)
                    .num_merge_threads(1)
                    .build();
                let writer: IndexWriter = self.engine.writer_with_options(options)?;
                let mut merges = LogMergePolicy::default();
                merges.set_del_docs_ratio_before_merge(GONE_MAX);
                writer.set_merge_policy(Box::new(merges));
                writer
            }
        };
        Ok(self.writer.insert(writer))
    }
}

fn row(document: Document, fields: &Fields) -> TantivyDocument {
    let Document { channel, seq, sender, time_ms, kind, mentions, text } = document;
    let mut row = TantivyDocument::default();
    row.add_u64(fields.key, key_of(channel));
    row.add_bytes(fields.channel, &channel.0.to_be_bytes());
    row.add_u64(fields.seq, seq.0);
    row.add_u64(fields.sender, sender.0);
    row.add_u64(fields.time_ms, time_ms);
    row.add_u64(fields.kind, kind.into());
    for user in mentions {
        row.add_u64(fields.mentions, user.0);
    }
    row.add_text(fields.initials, &text);
    row.add_text(fields.text, text);
    row
}
