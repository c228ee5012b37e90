//! Finds the end of a head as the bytes come in, looking at each byte once.

use memchr::memchr;

use crate::error::Error;
use crate::parse::Limits;

/// RFC 9112 section 2.2 asks to ignore an empty line before a request; this many, and no more.
const MOST_EMPTY_LINES: u8 = 4;

/// Remembers how far it has looked.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    looked: usize,
    line: usize,
    lines: usize,
    empty: u8,
}

impl Scan {
    /// Where the body begins, when the whole head is there. `bytes` begins where it began before, and is longer.
    pub fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Error> {
        self.search(bytes, limits, false)
    }

    /// The same for a response, whose lines may end with LF alone, as RFC 9112 section 2.2 allows: scripts write that, and
    /// who is asked is not who attacks. It is written anew like everything else.
    pub fn find_response(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Error> {
        self.search(bytes, limits, true)
    }

    fn search(&mut self, bytes: &[u8], limits: &Limits, lf_alone: bool) -> Result<Option<usize>, Error> {
        while let Some(offset) = memchr(b'\n', &bytes[self.looked..]) {
            let end = self.looked + offset;
            let has_cr = end > self.line && bytes[end - 1] == b'\r';
            if !has_cr && !lf_alone {
                return Err(Error::BareLf);
            }
            let is_empty = end - usize::from(has_cr) == self.line;
            if self.lines == 0 && end - self.line > limits.line {
                return Err(Error::LineTooLong);
            }
            (self.looked, self.line) = (end + 1, end + 1);
            match (is_empty, self.lines) {
                (true, 0) if self.empty < MOST_EMPTY_LINES => self.empty += 1,
                (true, 0) => return Err(Error::Syntax),
                (true, _) if end + 1 > limits.head => return Err(Error::HeadTooLong),
                (true, _) => return Ok(Some(end + 1)),
                // The first line and the fields; the parser counts again.
                (false, lines) if lines > limits.fields => return Err(Error::TooManyFields),
                (false, _) => self.lines += 1,
            }
        }
        self.looked = bytes.len();
        if self.lines == 0 && bytes.len() - self.line > limits.line {
            return Err(Error::LineTooLong);
        }
        if bytes.len() > limits.head {
            return Err(Error::HeadTooLong);
        }
        Ok(None)
    }

    /// Whether anything but empty lines has come.
    pub fn has_begun(&self) -> bool {
        self.lines > 0 || self.looked > self.line
    }
}
