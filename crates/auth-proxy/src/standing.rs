//! How we stand with the policy service, for whoever asks whether we are ready.

use std::sync::{Mutex, PoisonError};

use crate::policy_service::{Ruling, Service};

#[derive(Default)]
pub struct Standing(Mutex<Option<State>>);

struct State {
    /// `POST http://... , on error deny`
    setup: String,
    last: Option<Result<(), String>>,
}

impl Standing {
    pub fn begin(&self, service: Option<&Service>) {
        let setup = |service: &Service| format!("{}, on error {}", service.place(), service.settings.on_error);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            service.map(|service| State { setup: setup(service), last: None });
    }

    pub fn heard(&self, ruling: &Ruling) {
        if let Some(state) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            state.last = Some(match ruling {
                Ruling::Unknown(why) => Err(why.clone()),
                Ruling::Allowed(_) | Ruling::Denied(_) => Ok(()),
            });
        }
    }

    /// None: there is no such service.
    pub fn spoken(&self) -> Option<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.as_ref()?;
        Some(match &state.last {
            None => format!("{}, not asked yet", state.setup),
            Some(Ok(())) => format!("{}, answers", state.setup),
            Some(Err(why)) => format!("{}, does not answer: {why}", state.setup),
        })
    }
}
