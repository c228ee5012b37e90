//! What an answer means for each document of a request.

use std::time::Duration;

use http_client::Bytes;

use super::{
    answer::{self, Answer, Problem},
    body::{self, Piece},
};

/// What became of one request.
pub(super) enum Verdict {
    Done,
    /// Some of its documents are to be sent again, some never.
    Partly(Digest),
    /// Nothing of it arrived. The whole of it again, later.
    Later(Later),
    TooLarge(String),
    /// All of it, for something in it or for the way we ask.
    Refused(Problem),
}

#[derive(Debug)]
pub(super) struct Later {
    pub(super) why: String,
    pub(super) after: Option<Duration>,
}

pub(super) struct Digest {
    pub(super) again: Option<(Piece, String)>,
    /// With their actions.
    pub(super) dead: Vec<(Problem, Bytes)>,
}

/// What the answer means for each document.
pub(super) fn verdict(piece: &Piece, answer: &[u8], is_of_the_record: bool) -> Verdict {
    let items = match answer::read(answer, piece.count) {
        Answer::All => return Verdict::Done,
        Answer::Other => {
            let problem = answer::problem(200, answer);
            let why = format!("the answer is not that of a bulk request: {problem}");
            return Verdict::Later(Later { why, after: None });
        }
        Answer::Each(items) => items,
    };
    let count = usize::try_from(piece.count).unwrap_or(usize::MAX);
    let unanswered = count.saturating_sub(items.answered);
    if items.failed.is_empty() && unanswered == 0 {
        return Verdict::Done;
    }
    let plain = piece.plain();
    let mut failed = items.failed.into_iter().peekable();
    let (mut bytes, mut again) = (Vec::new(), 0);
    let (mut dead, mut first) = (Vec::new(), None);
    for (at, item) in body::items(&plain).enumerate() {
        let problem = failed.next_if(|(number, _)| *number == at).map(|(_, problem)| problem);
        match problem {
            Some(problem) if !is_for_later(&problem, is_of_the_record) => {
                dead.push((problem, plain.slice_ref(item)));
                continue;
            }
            Some(problem) => drop(first.get_or_insert(problem)),
            None if at < items.answered => continue,
            None => {}
        }
        bytes.extend_from_slice(item);
        again += 1;
    }
    let why = match first {
        Some(problem) => format!("{again} of {count} documents are not taken for now, the first one: {problem}"),
        None => format!("the answer does not tell about {unanswered} of {count} documents"),
    };
    let again = (again > 0).then(|| (Piece { bytes: Bytes::from(bytes), count: again }, why));
    Verdict::Partly(Digest { again, dead })
}

/// Whether a document may be taken yet: later, or when somebody has set right what is wrong with the server.
fn is_for_later(problem: &Problem, is_of_the_record: bool) -> bool {
    match problem.status {
        401 | 403 | 408 | 429 | 500.. => true,
        // There is no such index, and none is made. If that is the record's own choice, others need not wait for it.
        404 => !is_of_the_record,
        _ => {
            // The second is what servers say about a type that their version does not allow.
            ["index_closed_exception", "invalid_type_name_exception"].contains(&problem.kind.as_str())
                || problem.reason.starts_with("pipeline with id [")
        }
    }
}
