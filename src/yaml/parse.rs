//! From text to trees.
//!
//! Owns the walk over the parser's events: spans, anchors, merges, duplicate keys, limits, and going on at
//! the next document after a broken one, or in the same one where the break is a text that lacks its quotes
//! (see `repair`). It reads granit-parser's events, the parser beneath serde-saphyr,
//! because serde gives neither every duplicate key (it stops at the first), nor the place of an alias, nor
//! a tree of what stood before a syntax error. Refuses to know what keys mean.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::code::Code;
use super::diagnostic::{Diagnostic, Findings};
use super::node::{Document, Entry, Node, Value};
use super::source::{Source, Span};
use super::{repair, scalar, traps};

/// Deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 64;

/// Most values that the aliases of one file may bring in.
pub const MAX_ALIASED_VALUES: usize = 20_000;

/// Reads a file: its documents, the broken ones included and the empty ones left out, and what is wrong.
#[must_use]
pub fn parse(source: &Source) -> (Vec<Document<'_>>, Vec<Diagnostic>) {
    if let Some(refused) = traps::refuse_binary(source) {
        return (Vec::new(), vec![refused]);
    }
    let read = read(source);
    if read.unquoted.is_empty() {
        return (read.documents, read.diagnostics);
    }
    repair::reread(source, read)
}

/// Reads a file once.
pub(super) fn read(source: &Source) -> Read<'_> {
    Builder::new(source).run()
}

/// What one reading found.
pub(super) struct Read<'s> {
    pub(super) documents: Vec<Document<'s>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The findings about texts that lack their quotes and broke their documents by that.
    pub(super) unquoted: Vec<Diagnostic>,
}

/// Most values that the anchors of one file keep for their aliases.
const MAX_ANCHORED_VALUES: usize = 4 * MAX_ALIASED_VALUES;

struct Builder<'s> {
    source: &'s Source,
    parser: Parser<'s, StrInput<'s>>,
    documents: Vec<Document<'s>>,
    diagnostics: Findings,
    unquoted: Findings,
    /// The collections that are open, outermost first.
    open: Vec<Frame<'s>>,
    /// The value of the document so far.
    root: Option<Node<'s>>,
    anchors: HashMap<usize, Anchored<'s>>,
    aliased_values: usize,
    anchored_values: usize,
}

/// What an anchor names.
struct Anchored<'s> {
    /// The value; `None` where it is too large to be repeated.
    node: Option<Node<'s>>,
    values: usize,
    height: usize,
}

/// A collection that is being read.
struct Frame<'s> {
    start: u32,
    anchor: usize,
    content: Content<'s>,
}

enum Content<'s> {
    List(Vec<Node<'s>>),
    Map {
        entries: Vec<Entry<'s>>,
        /// The key whose value comes next.
        key: Option<Key<'s>>,
        /// Whether it turned out to be an unquoted `{{ template }}`.
        template: bool,
    },
}

struct Key<'s> {
    text: Cow<'s, str>,
    span: Span,
    /// A key that was refused: its value is read and dropped.
    refused: bool,
}

/// Why reading a document stops.
struct Stop;

impl<'s> Builder<'s> {
    fn new(source: &'s Source) -> Self {
        let options = granit_parser::options! {
            emit_unresolved_aliases: true,
            emit_anchor_events: true,
            emit_comments: false,
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        Self {
            source,
            parser: Parser::new_from_str_with_options(source.text(), options),
            documents: Vec::new(),
            diagnostics: Findings::default(),
            unquoted: Findings::default(),
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            aliased_values: 0,
            anchored_values: 0,
        }
    }

    fn run(mut self) -> Read<'s> {
        loop {
            let read = match self.parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => break,
                Some(Ok((event, span))) => self.event(event, span_of(&span), span.tag_span()),
                Some(Err(error)) => Err(self.syntax_error(&error)),
            };
            if let Err(Stop) = read {
                self.end_document(true);
                // A source that cannot be resumed ends here; what was found stands.
                if !matches!(self.parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
        let Self { documents, diagnostics, unquoted, .. } = self;
        let (diagnostics, unquoted) = (diagnostics.into_vec(), unquoted.into_vec());
        Read { documents, diagnostics, unquoted }
    }

    fn event(
        &mut self,
        event: Event<'s>,
        span: Span,
        tag_span: Option<granit_parser::Span>,
    ) -> Result<(), Stop> {
        let tag_span = tag_span.map_or(span, |tag| span_of(&tag));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar_value(text, style, tag.as_deref(), tag_span);
                self.complete(Node { value, span }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", tag_span);
                return self.start(span, anchor, Content::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", tag_span);
                let content = Content::Map { entries: Vec::new(), key: None, template: false };
                return self.start(span, anchor, content);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => return self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let reported = traps::unresolved_alias(self.source, &name, span);
                self.diagnostics.push(reported);
                self.complete(self.raw_text(span), 0);
            }
            Event::Anchor(_, name) => {
                if let Some(reported) = traps::odd_anchor(self.source, &name, span) {
                    self.diagnostics.push(reported);
                }
            }
            Event::DocumentEnd => self.end_document(false),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, span: Span, anchor: usize, content: Content<'s>) -> Result<(), Stop> {
        self.check_depth(1, span)?;
        self.open.push(Frame { start: span.start, anchor, content });
        Ok(())
    }

    fn end(&mut self, end: Span) {
        let Some(frame) = self.open.pop() else { return };
        // A block collection's end event is empty and stands behind the blank lines that follow it.
        let closed = end.end > end.start;
        let (value, last) = match frame.content {
            Content::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::List(items), last)
            }
            Content::Map { entries, template: false, .. } => {
                let last = entries.last().map(|entry| entry.value.span.end);
                (Value::Map(self.close_map(entries)), last)
            }
            Content::Map { template: true, .. } => {
                let span = Span { start: frame.start, end: end.end };
                self.diagnostics.push(traps::unquoted_template(self.source, span));
                (self.raw_text(span).value, None)
            }
        };
        let end = if closed { end.end } else { last.unwrap_or(frame.start).max(frame.start) };
        self.complete(Node { value, span: Span { start: frame.start, end } }, frame.anchor);
    }

    /// Puts a finished value into the collection that is open, as a key or as a value.
    fn complete(&mut self, node: Node<'s>, anchor: usize) {
        if anchor != 0 {
            self.keep(anchor, &node);
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key, template } => match key.take() {
                Some(key) if key.refused => {}
                Some(key) => {
                    let Key { text, span: key_span, .. } = key;
                    entries.push(Entry { key: text, key_span, value: node });
                }
                None if is_template(self.source, frame.start, &node) => {
                    *template = true;
                    *key = Some(Key { text: Cow::Borrowed(""), span: node.span, refused: true });
                }
                None => *key = Some(self::key(self.source, node, &mut self.diagnostics)),
            },
        }
    }

    /// Keeps what an anchor names. What is too large to be repeated, alone or together with all that is
    /// kept, is not kept, so that nested anchors cannot multiply a large value.
    fn keep(&mut self, anchor: usize, node: &Node<'s>) {
        let (values, height) = measure(node);
        self.anchored_values += values;
        let fits = self.anchored_values <= MAX_ANCHORED_VALUES;
        let node = fits.then(|| node.clone());
        self.anchors.insert(anchor, Anchored { node, values, height });
    }

    /// Reports and drops the keys that are there already, then applies the merge, if there is one.
    fn close_map(&mut self, entries: Vec<Entry<'s>>) -> Vec<Entry<'s>> {
        let mut kept = distinct(self.source, entries, &mut self.diagnostics);
        let Some(at) = kept.iter().position(|entry| is_merge(self.source, entry)) else {
            return kept;
        };
        let merge = kept.remove(at);
        let sources = match merge.value.value {
            Value::List(items) => items,
            _ => vec![merge.value],
        };
        let mut given: HashSet<Cow<'s, str>> = kept.iter().map(|entry| entry.key.clone()).collect();
        for source in sources {
            let Value::Map(merged) = source.value else {
                self.diagnostics.push(traps::bad_merge(self.source, source.span));
                continue;
            };
            kept.extend(merged.into_iter().filter(|entry| given.insert(entry.key.clone())));
        }
        kept
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            self.diagnostics.push(traps::alias_of_itself(self.source, span));
            self.complete(self.raw_text(span), 0);
            return Ok(());
        };
        let height = anchored.height;
        self.aliased_values += anchored.values;
        let within = self.aliased_values <= MAX_ALIASED_VALUES;
        let Some(node) = anchored.node.clone().filter(|_| within) else {
            self.diagnostics.push(traps::alias_bomb(self.source, span));
            return Err(Stop);
        };
        self.check_depth(height, span)?;
        self.complete(node, 0);
        Ok(())
    }

    fn check_depth(&mut self, further: usize, span: Span) -> Result<(), Stop> {
        if self.open.len() + further <= MAX_DEPTH {
            return Ok(());
        }
        self.diagnostics.push(traps::too_deep(self.source, span));
        Err(Stop)
    }

    fn scalar_value(
        &mut self,
        text: Cow<'s, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        tag_span: Span,
    ) -> Value<'s> {
        let plain = style == ScalarStyle::Plain;
        let Some(tag) = tag else {
            // The parser writes a value that is not there as an unquoted `~`.
            return if plain { scalar::resolve(text) } else { Value::Text(text) };
        };
        let Some(suffix) = tag.core_suffix() else {
            self.diagnostics.push(traps::unsupported_tag(self.source, tag_span));
            return Value::Text(text);
        };
        let resolved = scalar::resolve(text.clone());
        let fits = match suffix {
            "str" => return Value::Text(text),
            "null" => resolved == Value::Null,
            "bool" => matches!(resolved, Value::Bool(_)),
            "int" => matches!(resolved, Value::Int(_)),
            "float" => matches!(resolved, Value::Int(_) | Value::Float(_)),
            _ => false,
        };
        if !fits {
            self.diagnostics.push(traps::unsupported_tag(self.source, tag_span));
        }
        resolved
    }

    fn check_collection_tag(&mut self, tag: Option<&Tag>, expected: &str, span: Span) {
        if tag.is_some_and(|tag| tag.core_suffix() != Some(expected)) {
            self.diagnostics.push(traps::unsupported_tag(self.source, span));
        }
    }

    fn syntax_error(&mut self, error: &ScanError) -> Stop {
        let reported = traps::syntax_error(self.source, error);
        // What was an alias without anchor a moment ago, such as the `*/5` of a cron expression, is told
        // better by the error that it led to.
        let line = |d: &Diagnostic| d.span.map(|span| d.source.line_of(span.start));
        self.diagnostics.pop_if(|last| {
            matches!(last.code, Code::UnknownAlias | Code::Unquoted)
                && line(last) == line(&reported)
        });
        if reported.code == Code::Unquoted {
            self.unquoted.push(reported);
        } else {
            self.diagnostics.push(reported);
        }
        Stop
    }

    /// Ends a document; a broken one keeps what is complete of it.
    fn end_document(&mut self, broken: bool) {
        while let Some(frame) = self.open.last() {
            let end = frame.start;
            if let Content::Map { template, .. } =
                &mut self.open.last_mut().expect("just seen").content
            {
                *template = false;
            }
            self.end(Span { start: end, end });
        }
        self.anchors.clear();
        let root = self.root.take();
        match root {
            Some(root) if broken || root.value != Value::Null => {
                self.documents.push(Document { root, broken });
            }
            None if broken => {
                let root = Node { value: Value::Null, span: Span::default() };
                self.documents.push(Document { root, broken });
            }
            _ => {}
        }
    }

    fn raw_text(&self, span: Span) -> Node<'s> {
        Node { value: Value::Text(Cow::Borrowed(self.source.slice(span))), span }
    }
}

fn span_of(span: &granit_parser::Span) -> Span {
    // Offsets are always there for a parser over a str; an empty span would still be a safe place.
    span.byte_range().map(Span::new).unwrap_or_default()
}

/// `{{ x }}` unquoted is a mapping whose first key is a mapping that begins at the very next byte.
fn is_template(source: &Source, start: u32, key: &Node<'_>) -> bool {
    matches!(key.value, Value::Map(_) | Value::Text(_))
        && key.span.start == start + 1
        && source.text()[start as usize..].starts_with("{{")
}

fn key<'s>(source: &Source, node: Node<'s>, diagnostics: &mut Findings) -> Key<'s> {
    let span = node.span;
    let (text, refused) = match node.value {
        Value::Text(text) => (text, false),
        Value::List(_) | Value::Map(_) => {
            diagnostics.push(traps::bad_key(source, node.head(source)));
            (Cow::Borrowed(""), true)
        }
        Value::Null if span.start == span.end => {
            diagnostics.push(traps::no_key(source, span));
            (Cow::Borrowed(""), true)
        }
        // A key is a text, whatever it looks like: `1: x` has the key "1".
        _ => (Cow::Owned(source.slice(span).to_owned()), false),
    };
    Key { text, span, refused }
}

fn is_merge(source: &Source, entry: &Entry<'_>) -> bool {
    entry.key == "<<" && source.slice(entry.key_span) == "<<"
}

/// Mappings up to this size are searched one by one, which is faster than hashing.
const SMALL_MAP: usize = 16;

/// Drops and reports every key that is there already.
fn distinct<'s>(
    source: &Source,
    entries: Vec<Entry<'s>>,
    diagnostics: &mut Findings,
) -> Vec<Entry<'s>> {
    let repeats: Vec<(usize, usize)> = repeats(&entries);
    if repeats.is_empty() {
        return entries;
    }
    for &(first, again) in &repeats {
        if !diagnostics.is_full() {
            let (first, again) = (&entries[first], &entries[again]);
            diagnostics.push(traps::duplicate_key(source, first, again));
        }
    }
    let mut dropped = repeats.into_iter().map(|(_, again)| again).peekable();
    let mut keep = |at: usize| dropped.next_if_eq(&at).is_none();
    let indexed = entries.into_iter().enumerate();
    indexed.filter(|(at, _)| keep(*at)).map(|(_, entry)| entry).collect()
}

/// Pairs of (first place, later place) of the same key, in the order of the later places.
fn repeats(entries: &[Entry<'_>]) -> Vec<(usize, usize)> {
    if entries.len() <= SMALL_MAP {
        let first = |at: usize| entries[..at].iter().position(|e| e.key == entries[at].key);
        return (1..entries.len()).filter_map(|at| Some((first(at)?, at))).collect();
    }
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    let mut found = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        match seen.get(entry.key.as_ref()) {
            Some(&first) => found.push((first, at)),
            None => {
                seen.insert(&entry.key, at);
            }
        }
    }
    found
}

/// How many values a node holds, itself included, and how deep they are nested.
fn measure(node: &Node<'_>) -> (usize, usize) {
    let mut total = (1, 0);
    let mut add = |child: &Node<'_>| {
        let (values, height) = measure(child);
        total = (total.0 + values, total.1.max(height + 1));
    };
    match &node.value {
        Value::List(items) => items.iter().for_each(&mut add),
        Value::Map(entries) => entries.iter().for_each(|entry| add(&entry.value)),
        _ => {}
    }
    total
}
