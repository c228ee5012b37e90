//! A configuration tried out without serving it: every file that it names is read.

use std::sync::Arc;

use common::{Failure, prometheus::Registry};

use crate::{config::Config, events::Events, ready::Shared};

pub fn files(config: Config) -> Result<(), Failure> {
    let events = Arc::new(Events::new(&Registry::new())?);
    Shared::new(events).ready(config).map(drop)
}
