//! Telling the operator what happens while an output sends.

use std::sync::Arc;

use crate::events::Events;

/// Who hears of it, and under which name.
#[derive(Clone, Default)]
pub struct Reports(Option<(String, Arc<Events>)>);

impl Reports {
    pub fn new(output: &str, events: &Arc<Events>) -> Self {
        Self(Some((output.to_owned(), Arc::clone(events))))
    }

    pub fn tell(&self, what: impl FnOnce(&Events, &str)) {
        if let Some((output, events)) = &self.0 {
            what(events, output);
        }
    }
}
