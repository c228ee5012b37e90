//! What has pods: a Pod itself, a Deployment that has several, a Job that has another one when one has failed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    backoff::BackOff,
    cluster::Cluster,
    life::Phase,
    model::{Kind, Pod},
};

/// Until it is gone. Whether all is well then: a Deployment never ends by itself.
pub async fn run(cluster: Arc<Cluster>, kind: Kind, name: String, pod: Arc<Pod>) -> Result<bool, String> {
    match kind {
        Kind::Pod => cluster.run_pod(&name, &name, &pod).await.map(|phase| phase == Phase::Succeeded),
        Kind::Deployment { replicas } => deployment(cluster, &name, replicas, pod).await,
        Kind::Job { retries, deadline } => job(cluster, &name, retries, deadline, pod).await,
    }
}

async fn deployment(cluster: Arc<Cluster>, name: &str, replicas: usize, pod: Arc<Pod>) -> Result<bool, String> {
    let mut pods = JoinSet::new();
    for number in 1..=replicas {
        let (cluster, name, pod) = (Arc::clone(&cluster), name.to_owned(), Arc::clone(&pod));
        pods.spawn(async move { cluster.run_pod(&name, &format!("{name}-{number}"), &pod).await });
    }
    let mut good = true;
    while let Some(phase) = pods.join_next().await {
        good &= phase.map_err(|error| error.to_string())?? == Phase::Succeeded;
    }
    Ok(good)
}

async fn job(
    cluster: Arc<Cluster>,
    name: &str,
    retries: u32,
    deadline: Option<Duration>,
    pod: Arc<Pod>,
) -> Result<bool, String> {
    let began = Instant::now();
    let mut back_off = BackOff::new(cluster.back_off);
    // The Job controller waits before the second pod already.
    back_off.next(Duration::ZERO);
    let mut stop = cluster.stop.subscribe();
    for attempt in 1..=u64::from(retries) + 1 {
        let mut pod = Pod::clone(&pod);
        let left = deadline.map(|deadline| deadline.saturating_sub(began.elapsed()));
        pod.deadline = left.into_iter().chain(pod.deadline).min();
        let phase = cluster.run_pod(name, &format!("{name}-{attempt}"), &Arc::new(pod)).await?;
        if phase == Phase::Succeeded {
            cluster.say.event(name, "Complete");
            return Ok(true);
        }
        let over = deadline.is_some_and(|deadline| began.elapsed() >= deadline);
        if *stop.borrow() || over {
            break;
        }
        if attempt <= u64::from(retries) {
            let wait = back_off.next(Duration::ZERO);
            cluster.say.event(name, &format!("BackOff: another pod in {} s", wait.as_secs_f64()));
            let _ = tokio::time::timeout(wait, stop.wait_for(|stop| *stop)).await;
        }
        if *stop.borrow() {
            break;
        }
    }
    cluster.say.event(name, "Failed");
    Ok(false)
}
