//! What was looked up at the provider: once for all who need it, and a stale one for all but who looks anew.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::Error;

/// After a failure the provider is left alone for so long; everybody who comes meanwhile hears the same.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct Cached<T> {
    known: Mutex<Known<T>>,
    /// Held by who looks.
    looking: tokio::sync::Mutex<()>,
}

struct Known<T> {
    value: Option<(Arc<T>, Instant)>,
    failed: Option<(Error, Instant)>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { known: Mutex::new(Known { value: None, failed: None }), looking: tokio::sync::Mutex::default() }
    }
}

impl<T> Cached<T> {
    fn lock(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever its age.
    pub(crate) fn known(&self) -> Option<Arc<T>> {
        self.lock().value.as_ref().map(|(value, _)| Arc::clone(value))
    }

    fn settled(&self, fresh: Duration) -> Option<Result<Arc<T>, Error>> {
        let known = self.lock();
        let value = known.value.as_ref();
        if let Some((value, at)) = value
            && at.elapsed() < fresh
        {
            return Some(Ok(Arc::clone(value)));
        }
        let (error, _) = known.failed.as_ref().filter(|(_, at)| at.elapsed() < PAUSE)?;
        Some(value.map_or_else(|| Err(error.clone()), |(value, _)| Ok(Arc::clone(value))))
    }

    /// One that is not older than `fresh`, if it can be had.
    pub(crate) async fn get(
        &self,
        fresh: Duration,
        look: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        if let Some(settled) = self.settled(fresh) {
            return settled;
        }
        let _turn = match (self.looking.try_lock(), self.known()) {
            (Ok(turn), _) => turn,
            // A provider that hangs is waited for by one, as long as the others can go on.
            (Err(_), Some(value)) => return Ok(value),
            (Err(_), None) => self.looking.lock().await,
        };
        // Somebody may have been before us.
        if let Some(settled) = self.settled(fresh) {
            return settled;
        }
        self.keep(look.await)
    }

    /// Whatever is known: one that is looked up now.
    pub(crate) async fn anew(&self, look: impl Future<Output = Result<T, Error>>) -> Result<Arc<T>, Error> {
        let _turn = self.looking.lock().await;
        self.keep(look.await)
    }

    /// What is known once nobody looks any more.
    pub(crate) async fn after_look(&self) -> Option<Arc<T>> {
        drop(self.looking.lock().await);
        self.known()
    }

    fn keep(&self, found: Result<T, Error>) -> Result<Arc<T>, Error> {
        let mut known = self.lock();
        match found {
            Ok(value) => {
                let value = Arc::new(value);
                *known = Known { value: Some((Arc::clone(&value), Instant::now())), failed: None };
                Ok(value)
            }
            Err(error) => {
                known.failed = Some((error.clone(), Instant::now()));
                // What was true an hour ago is better than nobody signing in.
                known.value.as_ref().map(|(value, _)| Arc::clone(value)).ok_or(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_can_go_on_with_what_is_known_does_not_wait_for_who_looks() {
        let cached = Cached::default();
        assert_eq!(*cached.get(Duration::ZERO, async { Ok(1) }).await.unwrap(), 1);
        let hangs = cached.get(Duration::ZERO, std::future::pending());
        tokio::pin!(hangs);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut hangs).await.is_err());
        assert_eq!(*cached.get(Duration::ZERO, async { Ok(2) }).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn after_a_failure_there_is_a_pause_and_the_old_one_stays() {
        let cached: Cached<u32> = Cached::default();
        let broken = || async { Err(Error::unavailable("broken")) };
        assert!(cached.get(Duration::ZERO, broken()).await.is_err());
        assert!(cached.get(Duration::ZERO, async { Ok(1) }).await.is_err(), "a pause");
        let cached = Cached::default();
        cached.get(Duration::ZERO, async { Ok(1) }).await.unwrap();
        assert_eq!(*cached.get(Duration::ZERO, broken()).await.unwrap(), 1);
    }
}
