//! What becomes of a request: the engine asks, the site answers.

use std::sync::Arc;

use http_proxy::{Answer, ClusterId, Exchange, Flag, Forward, Peer, PeerTls, Policy, UpstreamEvent, Verdict};
use http1::{Form, RequestHead, ResponseHead};
use tls::ClientIdentity;

use htpasswd::Proof;

use crate::{
    answer,
    client::identify,
    config::{Action, Underscores},
    decide::{self, Decision},
    forwarded,
    later::{End, Kept},
    path::normal,
    seen::{Seen, View},
    site::{HttpRun, RouteRun, Site},
};

/// The policy of a reverse proxy.
pub struct Routing {
    pub site: Arc<Site>,
}

/// What is remembered of a request.
#[derive(Default)]
pub struct Ctx {
    http: Option<Arc<HttpRun>>,
    pub(crate) place: Option<(usize, usize)>,
    pub(crate) kept: Kept,
    seen: Seen,
    /// Why we answered ourselves, in the letters of the access log.
    flags: &'static str,
    status: u16,
}

impl Ctx {
    fn run<'a>(&self, http: &'a HttpRun) -> &'a RouteRun {
        self.place.map_or(&http.nowhere, |(host, route)| &http.routes[host][route])
    }
}

impl Policy for Routing {
    type Ctx = Ctx;

    async fn on_request(&self, head: &mut RequestHead, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let Some(http) = self.site.https.get(&peer.listener).cloned() else {
            return Verdict::Answer(Answer::text(404, "not found\n"));
        };
        let rule = http.model.client.underscores;
        if rule != Underscores::Pass {
            let any = head.headers.remove_where(|name| name.contains(&b'_'));
            if any && rule == Underscores::Refuse {
                return Verdict::Answer(Answer::text(400, "a header with an underscore in its name\n"));
            }
        }
        let verdict = self.decide(&http, head, peer, ctx).await;
        ctx.http = Some(http);
        verdict
    }

    fn on_response(&self, head: &mut ResponseHead, ctx: &mut Ctx) {
        let Some(http) = ctx.http.clone() else { return };
        ctx.status = head.status;
        if let Some((host, route)) = ctx.place {
            answer::redirects(head, &http.model.hosts[host].routes[route].action, &ctx.seen);
        }
        self.finish(&http, head, ctx);
    }

    fn on_failure(&self, why: Flag, answer: &mut Answer, ctx: &mut Ctx) {
        ctx.status = why.status();
        if let Some(http) = ctx.http.clone() {
            self.finish(&http, &mut answer.head, ctx);
        }
    }

    fn on_done(&self, exchange: &Exchange, peer: &Peer, ctx: &Ctx) {
        let events = &self.site.events;
        let cluster = exchange.cluster.and_then(|id| self.site.clusters.get(id.0));
        for flag in exchange.flags.iter() {
            let name = cluster.map(|cluster| &*cluster.name);
            events.failed(flag, exchange.error.as_deref(), name, exchange.upstream.as_deref());
        }
        if let (Some(cluster), Some(status), Some(responded)) = (cluster, exchange.upstream_status, exchange.responded)
        {
            cluster.figures.answered(status, responded.as_secs_f64());
        }
        let http = ctx.http.as_ref().or_else(|| self.site.https.get(&peer.listener));
        let Some(http) = http else { return };
        let run = ctx.run(http);
        run.figures.done(exchange.status, exchange.took.as_secs_f64());
        let end = End {
            keeper: &run.keeper,
            kept: &ctx.kept,
            exchange: Some(exchange),
            status: exchange.status,
            flags: ctx.flags,
        };
        let mut line = Vec::new();
        for (writer, format) in &run.logs {
            line.clear();
            format.render(&end, &mut line);
            writer.push(&line);
        }
    }

    fn on_stream(&self, peer: &Peer) -> Option<ClusterId> {
        let name = peer.tls.as_ref().and_then(|tls: &PeerTls| tls.server_name.as_deref()).unwrap_or_default();
        let routes = self.site.streams.get(&peer.listener)?;
        let fits = |route: &crate::config::TcpRoute| {
            route.server_names.is_empty() || route.server_names.iter().any(|pattern| pattern.is_match(name))
        };
        routes.iter().find(|(route, _)| fits(route)).map(|(_, cluster)| *cluster)
    }

    fn on_stream_done(&self, exchange: &Exchange, _: &Peer) {
        let cluster = exchange.cluster.and_then(|id| self.site.clusters.get(id.0));
        for flag in exchange.flags.iter() {
            let name = cluster.map(|cluster| &*cluster.name);
            self.site.events.failed(flag, exchange.error.as_deref(), name, exchange.upstream.as_deref());
        }
    }

    fn on_open(&self, peer: &Peer) {
        self.site.events.opened(&peer.listener);
    }

    fn on_close(&self, peer: &Peer) {
        self.site.events.closed(&peer.listener);
    }

    fn on_refused(&self, listener: &str, why: &str) {
        self.site.events.refused(listener, why);
    }

    fn on_upstream(&self, cluster: &str, event: UpstreamEvent<'_>) {
        self.site.events.upstream(cluster, event);
    }
}

impl Routing {
    async fn decide(&self, http: &HttpRun, head: &mut RequestHead, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let rules = &http.model.client;
        ctx.seen.client = identify(rules, head, peer);
        let certificate = peer.tls.as_ref().and_then(|tls| tls.certificates.first());
        ctx.seen.identity = certificate.and_then(|certificate| ClientIdentity::of(certificate).ok());
        match (head.form, normal(head.path())) {
            // A tunnel to anywhere is what an open proxy is.
            (Form::Authority, _) => return self.refuse(http, head, peer, ctx, 405, "method not allowed\n", ""),
            (Form::Asterisk, _) => ctx.seen.path = "*".into(),
            (_, Some(path)) => ctx.seen.path = path,
            (_, None) => return self.refuse(http, head, peer, ctx, 400, "bad request: the path\n", "DPE"),
        }
        let found = decide::place(http, head, peer, &mut ctx.seen);
        let (host, route) = match found {
            Decision::Route(host, route) => (host, route),
            Decision::Nowhere => return self.refuse(http, head, peer, ctx, 404, "not found\n", "NR"),
            Decision::Endless => return self.refuse(http, head, peer, ctx, 500, "rewritten without end\n", ""),
            Decision::Redirect(status, to) => return self.answer(http, head, peer, ctx, answer::redirect(status, &to)),
            Decision::Answer(action) => {
                let made = answer::of(&action, &View { head, peer, seen: &ctx.seen }, &self.site.events);
                return self.answer(http, head, peer, ctx, made);
            }
        };
        ctx.place = Some((host, route));
        let (model, run) = (&http.model.hosts[host].routes[route], &http.routes[host][route]);
        ctx.seen.route.clone_from(&run.name);
        if let Some(address) = ctx.seen.client.address {
            let said = model.access.iter().find(|access| access.from.contains(address));
            if said.is_some_and(|access| !access.allow) {
                return self.refuse(http, head, peer, ctx, 403, "forbidden\n", "UAEX");
            }
        }
        if !model.client_names.is_empty() && !decide::is_named(&model.client_names, ctx.seen.identity.as_ref()) {
            return self.refuse(http, head, peer, ctx, 403, "forbidden: the client's certificate\n", "UAEX");
        }
        if let Some(users) = &run.users {
            let header = head.headers.get("authorization").map(<[u8]>::to_vec);
            match users.check(header.as_deref(), ctx.seen.client.address).await {
                Proof::Good(user) => ctx.seen.user = Some(user),
                Proof::Wanting => {
                    self.site.events.login_refused();
                    let realm = model.auth.as_ref().map(|auth| auth.realm.as_str()).unwrap_or_default();
                    return self.answer(http, head, peer, ctx, answer::unauthorized(realm));
                }
                Proof::NoUsers => {
                    return self.refuse(
                        http,
                        head,
                        peer,
                        ctx,
                        403,
                        "forbidden: the file of users cannot be read\n",
                        "UAEX",
                    );
                }
                Proof::Busy | Proof::LockedOut(_) => {
                    return self.refuse(http, head, peer, ctx, 503, "too many logins at once\n", "RL");
                }
            }
        }
        match &model.action {
            Action::Forward(forward) => self.forward(http, forward, run, head, peer, ctx, (host, route)),
            action => {
                let made = answer::of(action, &View { head, peer, seen: &ctx.seen }, &self.site.events);
                self.answer(http, head, peer, ctx, made)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where all of a request comes together")]
    fn forward(
        &self,
        http: &HttpRun,
        forward: &crate::config::Forward,
        run: &RouteRun,
        head: &mut RequestHead,
        peer: &Peer,
        ctx: &mut Ctx,
        place: (usize, usize),
    ) -> Verdict {
        let Some(cluster) = decide::share(run) else {
            return self.refuse(http, head, peer, ctx, 503, "no cluster\n", "NC");
        };
        let known = &self.site.clusters[cluster.0];
        ctx.seen.cluster.clone_from(&known.name);
        ctx.seen.authority.clone_from(&known.authority);
        let model = &http.model.hosts[place.0].routes[place.1];
        // All values are those of the request as it came: no rule sees what another has changed.
        let view = View { head, peer, seen: &ctx.seen };
        let values: Vec<_> = model.request_headers.iter().map(|rule| decide::value(&rule.change, &view)).collect();
        let target = decide::target(&forward.path, &model.when.path, &view);
        let new_host = decide::host(&forward.host, &known.authority, &view);
        ctx.kept = run.keeper.keep(&view);
        let host = head.host().to_owned();
        forwarded::apply(&http.model.client, head, peer, &ctx.seen, &host);
        for (rule, value) in model.request_headers.iter().zip(values) {
            decide::change(&mut head.headers, &rule.name, &rule.change, value);
        }
        if let Some(target) = target {
            head.set_target(&target);
        }
        if let Some(host) = new_host {
            head.set_host(&host);
        }
        let settings = Arc::clone(&run.settings);
        Verdict::Forward(Forward { cluster, settings, to: None, hash: None })
    }

    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn refuse(
        &self,
        http: &HttpRun,
        head: &RequestHead,
        peer: &Peer,
        ctx: &mut Ctx,
        status: u16,
        text: &str,
        flags: &'static str,
    ) -> Verdict {
        ctx.flags = flags;
        self.answer(http, head, peer, ctx, Answer::text(status, text))
    }

    fn answer(&self, http: &HttpRun, head: &RequestHead, peer: &Peer, ctx: &mut Ctx, mut answer: Answer) -> Verdict {
        let run = ctx.run(http);
        ctx.kept = run.keeper.keep(&View { head, peer, seen: &ctx.seen });
        ctx.status = answer.head.status;
        self.finish(http, &mut answer.head, ctx);
        Verdict::Answer(answer)
    }

    /// What the route says of every response.
    fn finish(&self, http: &HttpRun, head: &mut ResponseHead, ctx: &mut Ctx) {
        let run = ctx.run(http);
        run.keeper.keep_response(&head.headers, &mut ctx.kept);
        let end = End { keeper: &run.keeper, kept: &ctx.kept, exchange: None, status: ctx.status, flags: ctx.flags };
        answer::headers(head, &run.response, &end);
        if let (Some(server), true) =
            (&http.model.server_header, ctx.place.is_none() || !head.headers.contains("server"))
        {
            head.headers.set("Server", server);
        }
    }
}
