//! Small things that every message needs and gives back: each thread keeps a few, so that the allocator is not asked.

use std::cell::RefCell;

use http1::{RequestHead, ResponseHead};

const MOST: usize = 32;
/// Of one thing; what has grown larger goes back to the allocator.
const LARGEST: usize = 4 * 1024;

thread_local! {
    static REQUESTS: RefCell<Vec<RequestHead>> = const { RefCell::new(Vec::new()) };
    static RESPONSES: RefCell<Vec<ResponseHead>> = const { RefCell::new(Vec::new()) };
    static OUTPUTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn request_head() -> RequestHead {
    REQUESTS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(crate) fn keep_request_head(mut head: RequestHead) {
    head.clear();
    if head.headers.memory() <= LARGEST {
        REQUESTS.with_borrow_mut(|spare| keep(spare, head));
    }
}

pub(crate) fn response_head() -> ResponseHead {
    RESPONSES.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(crate) fn keep_response_head(mut head: ResponseHead) {
    let mut headers = std::mem::take(&mut head.headers);
    headers.clear();
    if headers.memory() <= LARGEST {
        RESPONSES.with_borrow_mut(|spare| keep(spare, ResponseHead { headers, ..ResponseHead::default() }));
    }
}

pub(crate) fn output() -> Vec<u8> {
    OUTPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(1024))
}

pub(crate) fn keep_output(mut bytes: Vec<u8>) {
    bytes.clear();
    if (1..=LARGEST).contains(&bytes.capacity()) {
        OUTPUTS.with_borrow_mut(|spare| keep(spare, bytes));
    }
}

fn keep<T>(spare: &mut Vec<T>, thing: T) {
    if spare.len() < MOST {
        spare.push(thing);
    }
}
