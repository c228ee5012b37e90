//! One side of an exchange: a body that comes in, a body that goes out. The same for a client and for an upstream, for
//! HTTP/1 and for HTTP/2; the pump moves data from one to the other.

use std::io;
use std::task::{Context, Poll, ready};

use http1::Headers;

/// Why a body did not arrive or could not be passed on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection.
    Io(io::Error),
    /// The other side ended it in the middle, in a way that the protocol has for it.
    Reset(&'static str),
    /// What it sends is not HTTP.
    Syntax(http1::Error),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Reset(text) => f.write_str(text),
            Self::Syntax(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<http1::Error> for Broken {
    fn from(error: http1::Error) -> Self {
        Self::Syntax(error)
    }
}

pub(crate) trait Side: Send {
    /// Data of the incoming body that is here; None: it has ended well.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>>;

    /// So much of it was used.
    fn consume(&mut self, bytes: usize);

    /// What came after the body.
    fn trailers(&mut self) -> Option<Box<Headers>>;

    /// Takes data for the outgoing body; at least a byte.
    fn poll_send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>>;

    /// No more will come. May be called again until it is ready.
    fn poll_end(&mut self, trailers: Option<&Headers>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>>;

    /// What was taken goes out.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>>;
}

/// Who a pump waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Waits {
    #[default]
    From,
    To,
}

/// Which side broke.
#[derive(Debug)]
pub(crate) enum PumpError {
    From(Broken),
    To(Broken),
    TooLarge,
}

/// Moves one body.
#[derive(Debug, Default)]
pub(crate) struct Pump {
    pub(crate) bytes: u64,
    pub(crate) waits: Waits,
    /// The sender has said everything.
    pub(crate) ended: bool,
    /// And it has gone out.
    pub(crate) done: bool,
    trailers: Option<Box<Headers>>,
    pub(crate) most: Option<u64>,
    /// What was sent, for sending it again.
    log: Option<Vec<u8>>,
    again: usize,
}

/// A body that is larger is not sent twice.
const LONGEST_LOG: usize = 64 * 1024;

impl Pump {
    /// `replayable`: remembers the beginning, so that [`Pump::rewind`] works.
    pub(crate) fn new(most: Option<u64>, replayable: bool) -> Self {
        Self { most, log: replayable.then(Vec::new), ..Self::default() }
    }

    /// A body that is here already.
    pub(crate) fn whole(body: Vec<u8>, trailers: Option<Box<Headers>>) -> Self {
        Self { bytes: body.len() as u64, ended: true, trailers, log: Some(body), ..Self::default() }
    }

    /// Lets somebody look at what came after the body, once.
    pub(crate) fn trailers_mut(&mut self) -> Option<&mut Headers> {
        self.trailers.as_deref_mut()
    }

    /// To the start of the body. False: it is not here any more.
    pub(crate) fn rewind(&mut self) -> bool {
        if self.bytes > 0 && self.log.is_none() {
            return false;
        }
        (self.again, self.done) = (0, false);
        true
    }

    /// `trim`: what is taken out of the trailers, if there are any.
    pub(crate) fn poll(
        &mut self,
        from: &mut impl Side,
        to: &mut impl Side,
        cx: &mut Context<'_>,
        trim: impl FnOnce(&mut Headers),
    ) -> Poll<Result<(), PumpError>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        if let Some(log) = &self.log {
            while self.again < log.len() {
                self.waits = Waits::To;
                self.again += ready!(to.poll_send(&log[self.again..], cx)).map_err(PumpError::To)?;
            }
        }
        while !self.ended {
            match from.poll_data(cx) {
                Poll::Pending => {
                    self.waits = Waits::From;
                    if let Poll::Ready(Err(error)) = to.poll_flush(cx) {
                        return Poll::Ready(Err(PumpError::To(error)));
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => {
                    // What came before it was well.
                    let _ = to.poll_flush(cx);
                    return Poll::Ready(Err(PumpError::From(error)));
                }
                Poll::Ready(Ok(None)) => {
                    self.ended = true;
                    self.trailers = from.trailers();
                    if let Some(trailers) = self.trailers.as_deref_mut() {
                        trim(trailers);
                    }
                    break;
                }
                Poll::Ready(Ok(Some(data))) => {
                    if self.most.is_some_and(|most| self.bytes + data.len() as u64 > most) {
                        return Poll::Ready(Err(PumpError::TooLarge));
                    }
                    self.waits = Waits::To;
                    let taken = ready!(to.poll_send(data, cx)).map_err(PumpError::To)?;
                    self.bytes += taken as u64;
                    match &mut self.log {
                        Some(log) if log.len() + taken <= LONGEST_LOG => {
                            log.extend_from_slice(&data[..taken]);
                            self.again = log.len();
                        }
                        log => *log = None,
                    }
                    from.consume(taken);
                }
            }
        }
        self.waits = Waits::To;
        ready!(to.poll_end(self.trailers.as_deref(), cx)).map_err(PumpError::To)?;
        self.done = true;
        Poll::Ready(Ok(()))
    }
}
