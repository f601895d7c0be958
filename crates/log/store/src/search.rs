//! Searching by words: which pages of the index to read, and what they have in common.
//!
//! A page is the newest indexes of one key. One round of pages answers a search for any of the words. A search for
//! all of them goes down in rounds and leaps: below what a rare word has, nothing of a common one is read. The
//! rounds are bounded, so that two words which nearly every entry has, but never together, cannot hold a reader.

use std::collections::BTreeSet;

use tlog::{LeafHash, LeafIndex};

use crate::row::{bound, to_u64};
use crate::{IndexKey, MAX_SEARCH_KEYS, MAX_SEARCH_RESULTS, SearchPage, StoreError};

/// Most rounds of a search for all words. With [`PAGE`] that is the newest 65,536 entries of the rarest word.
const MAX_ROUNDS: u32 = 64;
/// Indexes of one page when all words are asked for.
const PAGE: usize = 1024;

/// A search under way; [`Search::question`] and [`Search::answer`] take turns.
#[derive(Debug)]
pub struct Search {
    words: Vec<Word>,
    match_all: bool,
    limit: usize,
    page: usize,
    below: i64,
    rounds: u32,
    next: Position,
    found: Vec<LeafIndex>,
    done: bool,
}

/// Which of the words is asked for next, under which of its kinds.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    word: usize,
    kind: usize,
}

/// One page to read: indexes of a key, descending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// [`crate::IndexKey::kind`].
    pub kind: &'static str,
    /// In lower case.
    pub key: String,
    /// Only indexes smaller than this.
    pub below: i64,
    /// Most indexes to read.
    pub limit: i64,
}

/// One word, under the kinds it may have.
#[derive(Debug)]
struct Word {
    text: String,
    kinds: Vec<&'static str>,
    /// What this round has read of it.
    indexes: BTreeSet<u64>,
    /// From here on upward, this round has read all of it.
    known_from: u64,
}

impl Search {
    /// Prepares a search; see [`crate::LogStore::search`] for what the arguments mean.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`].
    pub fn new(keys: &[IndexKey], match_all: bool, page: SearchPage) -> Result<Self, StoreError> {
        let SearchPage { limit, below } = page;
        at_most("index keys", keys.len(), MAX_SEARCH_KEYS)?;
        at_most("search results", limit, MAX_SEARCH_RESULTS)?;
        let mut words: Vec<Word> = Vec::new();
        // No entry has a word that no store can keep.
        let unmatched = keys.iter().any(|key| !key.is_storable());
        for key in keys.iter().filter(|key| key.is_storable()) {
            let (lower, kind) = (key.key.to_lowercase(), key.kind);
            match words.iter_mut().find(|word| word.text == lower) {
                Some(word) if word.kinds.contains(&kind) => {}
                Some(word) => word.kinds.push(kind),
                None => words.push(Word::new(lower, kind)),
            }
        }
        let done = words.is_empty() || limit == 0 || (match_all && unmatched);
        let page = if match_all && words.len() > 1 { PAGE } else { limit };
        Ok(Self {
            words,
            match_all,
            limit,
            page,
            below: below.map_or(i64::MAX, |below| bound(below.0)),
            rounds: 0,
            next: Position::default(),
            found: Vec::new(),
            done,
        })
    }

    /// The page to read now, or none when the search is over.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let word = self.words.get(self.next.word).filter(|_| !self.done)?;
        Some(Question {
            kind: word.kinds.get(self.next.kind)?,
            key: word.text.clone(),
            below: self.below,
            limit: bound(self.page as u64),
        })
    }

    /// Takes what was read for the last question.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an index below zero.
    pub fn answer(&mut self, indexes: Vec<i64>) -> Result<(), StoreError> {
        let Position { word: at, kind } = self.next;
        let Some(word) = self.words.get_mut(at) else { return Ok(()) };
        let full = indexes.len() >= self.page;
        let mut lowest = None;
        for index in indexes {
            let index = to_u64("index of a key", index)?;
            word.indexes.insert(index);
            lowest = Some(lowest.map_or(index, |lowest: u64| lowest.min(index)));
        }
        if let Some(lowest) = lowest.filter(|_| full) {
            word.known_from = word.known_from.max(lowest);
        }
        self.next = if kind + 1 < word.kinds.len() {
            Position { word: at, kind: kind + 1 }
        } else {
            Position { word: at + 1, kind: 0 }
        };
        if self.next.word == self.words.len() {
            self.end_round();
        }
        Ok(())
    }

    /// The indexes, newest first.
    #[must_use]
    pub fn into_indexes(self) -> Vec<LeafIndex> {
        self.found
    }

    fn end_round(&mut self) {
        let from = self.words.iter().map(|word| word.known_from).max().unwrap_or(0);
        let matching: BTreeSet<u64> = if self.match_all {
            let (first, others) = (self.words.first(), self.words.get(1..).unwrap_or_default());
            let first = first.into_iter().flat_map(|word| word.indexes.range(from..));
            first
                .filter(|index| others.iter().all(|w| w.indexes.contains(index)))
                .copied()
                .collect()
        } else {
            self.words.iter().flat_map(|word| word.indexes.range(from..)).copied().collect()
        };
        let room = self.limit - self.found.len();
        self.found.extend(matching.into_iter().rev().take(room).map(LeafIndex));
        self.rounds += 1;
        // A search for any word has filled its limit with one page; one for all leaps on.
        match self.next_below(from) {
            Some(below) if self.found.len() < self.limit && self.rounds < MAX_ROUNDS => {
                self.below = bound(below);
                self.next = Position::default();
                for word in &mut self.words {
                    word.indexes.clear();
                    word.known_from = 0;
                }
            }
            _ => self.done = true,
        }
    }

    /// Below this, every word may have an entry that was not looked at; none when one has no more.
    fn next_below(&self, from: u64) -> Option<u64> {
        let mut below = from;
        for word in &self.words {
            match word.indexes.range(word.known_from..from).next_back() {
                Some(next) => below = below.min(next + 1),
                None if word.known_from == 0 && self.match_all => return None,
                None => below = below.min(word.known_from),
            }
        }
        (below > 0).then_some(below)
    }
}

impl Word {
    fn new(text: String, kind: &'static str) -> Self {
        Self { text, kinds: vec![kind], indexes: BTreeSet::new(), known_from: 0 }
    }
}

/// Leaf hashes in the order asked, from what was read in any order.
///
/// # Errors
/// [`StoreError::OutOfRange`] when one was not read.
pub fn in_order(
    indexes: &[LeafIndex],
    mut read: Vec<(LeafIndex, LeafHash)>,
) -> Result<Vec<LeafHash>, StoreError> {
    read.sort_unstable_by_key(|(index, _)| *index);
    let hash = |index: &LeafIndex| {
        let at = read.binary_search_by_key(index, |(index, _)| *index);
        at.ok().and_then(|at| read.get(at)).map(|(_, hash)| *hash).ok_or_else(|| missing(*index))
    };
    indexes.iter().map(hash).collect()
}

/// Checks how many leaf hashes are asked for.
///
/// # Errors
/// [`StoreError::TooMuch`].
pub fn check_leaves(indexes: &[LeafIndex]) -> Result<(), StoreError> {
    at_most("leaf hashes", indexes.len(), MAX_SEARCH_RESULTS)
}

pub(crate) fn missing(index: LeafIndex) -> StoreError {
    StoreError::OutOfRange { what: "entries", start: index.0, end: index.next().0 }
}

pub(crate) fn at_most(what: &'static str, asked: usize, limit: usize) -> Result<(), StoreError> {
    if asked <= limit {
        return Ok(());
    }
    Err(StoreError::TooMuch { what, asked: asked as u64, limit: limit as u64 })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    type Index = BTreeMap<(&'static str, String), BTreeSet<u64>>;

    /// Answers as a database does; also how many questions there were.
    fn run(index: &Index, mut search: Search) -> (Vec<u64>, usize) {
        let mut questions = 0;
        while let Some(question) = search.question() {
            questions += 1;
            let of_key = index.get(&(question.kind, question.key.clone()));
            let page = of_key.into_iter().flatten().rev().map(|index| bound(*index));
            let page = page.filter(|index| *index < question.below);
            search.answer(page.take(usize::try_from(question.limit).unwrap()).collect()).unwrap();
        }
        (search.into_indexes().into_iter().map(|index| index.0).collect(), questions)
    }

    fn key(kind: &'static str, word: &str) -> IndexKey {
        IndexKey { kind, key: word.to_owned() }
    }

    fn index_of(keys: &[(&'static str, &str, Vec<u64>)]) -> Index {
        keys.iter()
            .map(|(kind, word, indexes)| {
                ((*kind, (*word).to_owned()), indexes.iter().copied().collect())
            })
            .collect()
    }

    #[test]
    fn two_common_words_that_never_meet_end_after_bounded_rounds() {
        let odd_and_even = index_of(&[
            ("hash", "even", (0..400_000).step_by(2).collect()),
            ("hash", "odd", (1..400_000).step_by(2).collect()),
        ]);
        let keys = [key("hash", "odd"), key("hash", "even")];
        let (found, questions) =
            run(&odd_and_even, Search::new(&keys, true, SearchPage::first(10)).unwrap());
        assert_eq!((found, questions), (vec![], 2 * 64));
    }

    #[test]
    fn a_rare_word_needs_few_rounds_beside_a_common_one() {
        let index = index_of(&[
            ("hash", "all", (0..400_000).collect()),
            ("key", "rare", vec![3, 200_000, 399_000]),
        ]);
        let keys = [key("hash", "all"), key("key", "rare")];
        let (found, questions) =
            run(&index, Search::new(&keys, true, SearchPage::first(10)).unwrap());
        assert_eq!(found, [399_000, 200_000, 3]);
        assert!(questions <= 8, "{questions}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn finds_what_a_scan_of_everything_finds(
            postings in prop::collection::vec(prop::collection::btree_set(0u64..6000, 0..2500), 6),
            asked in prop::collection::vec((0usize..3, 0usize..2), 0..6),
            match_all: bool,
            limit in 0usize..MAX_SEARCH_RESULTS,
            below in prop::option::of(0u64..6000),
        ) {
            let types = ["hash", "subject"];
            let words = ["a", "b", "c"];
            let mut index = Index::new();
            for (at, indexes) in postings.into_iter().enumerate() {
                let (word, kind) = (words[at / 2], types[at % 2]);
                index.insert((kind, word.to_owned()), indexes);
            }
            let keys: Vec<_> =
                asked.iter().map(|(word, kind)| key(types[*kind], words[*word])).collect();
            let page = SearchPage { limit, below: below.map(LeafIndex) };
            let (found, _) = run(&index, Search::new(&keys, match_all, page).unwrap());

            let has = |entry: u64, key: &IndexKey| {
                let of_key = index.get(&(key.kind, key.key.clone()));
                of_key.is_some_and(|indexes| indexes.contains(&entry))
            };
            let has_word = |entry, word: &str| {
                keys.iter().filter(|key| key.key == word).any(|key| has(entry, key))
            };
            let matches = |entry: &u64| {
                let mut words = keys.iter().map(|key| has_word(*entry, &key.key));
                !keys.is_empty() && if match_all { words.all(|has| has) } else { words.any(|has| has) }
            };
            let expected: Vec<u64> = (0..below.unwrap_or(6000)).rev().filter(matches).take(limit).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
