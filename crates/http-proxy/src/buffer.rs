//! Read buffers that exist only while there is something in them.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

const SMALL: usize = 16 * 1024;
const LARGE: usize = 256 * 1024;
/// Small ones that each thread keeps for whoever reads next.
const MOST_SPARE: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not used yet. Holds no memory when there are none.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// How much the next read asks for: more, when reads have filled what they got.
    want: usize,
}

impl Buffer {
    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
            // Who knows what is waited for next. A large one is of a stream, which goes on.
            if self.bytes.capacity() == SMALL {
                self.give_back();
            }
        }
    }

    /// Reads once, behind what is there. 0: the end. Nothing to read: no memory is held either, if there was nothing.
    pub(crate) fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.bytes.capacity() - self.bytes.len();
        let polled = pin!(io.read_buf(&mut self.bytes)).poll(cx);
        match &polled {
            Poll::Ready(Ok(read)) if *read == room && room >= SMALL => self.want = (room * 4).min(LARGE),
            Poll::Ready(Ok(1..)) => {}
            _ => self.give_back(),
        }
        polled
    }

    /// Nothing is here to be read: whatever memory there is, somebody else may need it.
    pub(crate) fn let_go(&mut self) {
        if self.bytes.capacity() > 0 {
            self.give_back();
        }
    }

    /// The connection waits for its next message: large buffers are for streams.
    pub(crate) fn rest(&mut self) {
        self.want = 0;
        self.give_back();
    }

    fn make_room(&mut self) {
        if self.is_empty() {
            if self.bytes.capacity() < self.want.max(SMALL) {
                self.give_back();
                self.bytes = take(self.want.max(SMALL));
            }
        } else if self.bytes.len() == self.bytes.capacity() {
            if self.start > 0 {
                self.bytes.drain(..self.start);
                self.start = 0;
            } else {
                self.bytes.reserve(self.bytes.len());
            }
        }
    }

    fn give_back(&mut self) {
        if !self.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.start = 0;
        if bytes.capacity() == SMALL {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MOST_SPARE {
                    spare.push(bytes);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.give_back();
    }
}

fn take(size: usize) -> Vec<u8> {
    let spare = if size == SMALL { SPARE.with_borrow_mut(Vec::pop) } else { None };
    let mut bytes = spare.unwrap_or_else(|| Vec::with_capacity(size));
    bytes.clear();
    bytes
}
