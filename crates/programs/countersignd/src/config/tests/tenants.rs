//! Several of each: tenants, states, hosts, and the switches of each table.

use ::trust::State;
use server::Host;

use super::*;

fn two_tenants() -> String {
    sample("docs/samples/two-tenants.toml")
}

/// `two-tenants.toml` with `from` replaced, which must be there once.
fn tenants_with(from: &str, to: &str) -> String {
    let text = two_tenants();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

#[test]
fn any_number_of_each_is_read_with_tenant_and_state() {
    let config = parse(&two_tenants()).unwrap();
    let names: Vec<_> = config.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(names, ["acme", "globex"]);
    assert_eq!(config.tenants[1].audience.as_deref(), Some("https://sign.globex.example"));
    let states: Vec<_> = config
        .logs
        .iter()
        .map(|log| (log.service.name.as_str(), log.service.tenant.as_deref(), log.service.state))
        .collect();
    assert_eq!(
        states,
        [
            ("2025", None, State::Frozen),
            ("2026", None, State::Active),
            ("2027", None, State::Staged),
            ("acme-ct", Some("acme"), State::Active),
            ("globex-ct", Some("globex"), State::Active),
            ("rekor1", None, State::Active),
        ]
    );
    let [acme, globex] = &config.authorities[..] else { panic!() };
    assert_eq!((acme.ct_log.as_str(), globex.ct_log.as_str()), ("acme-ct", "globex-ct"));
    assert_eq!(globex.settings.issuers[0].audiences(), ["https://sign.globex.example"]);
    assert_eq!(acme.chain.file, Path::new("/var/lib/countersign/public/ca-acme_chain.pem"));
    assert_eq!(acme.state_dir, Path::new("/var/lib/countersign/ca-state/acme"));
    let ct = config.log("acme-ct").unwrap();
    assert_eq!(config.further_hosts(ct), [Host::new("127.0.0.2")]);
    let chains: Vec<_> = config.ca_chain_files(ct).collect();
    assert_eq!(chains, [&acme.chain.file], "nobody else's");
    assert_eq!(ct.service.label, "log acme-ct");
    assert_eq!(config.log("rekor1").unwrap().service.label, "rekor1");
    let frozen = &config.log("2025").unwrap().service;
    assert_eq!(frozen.valid_until.unwrap().to_string(), "2026-01-07T00:00:00Z");
}

/// Each change of the sample, and what is said of it.
fn told(cases: &[(&str, &str, &str)]) {
    for (from, to, said) in cases {
        let found = problems(&tenants_with(from, to));
        assert!(found.contains(said), "{said}: {found}");
    }
}

#[test]
fn what_does_not_go_together_is_told_at_its_place() {
    let acme_ct = "[log.acme-ct]\nkind = \"ct\"\ntenant = \"acme\"";
    told(&[
        (
            "[ca.acme]\ntenant = \"acme\"\n",
            "[ca.acme]\n",
            "ca.acme.tenant: is missing: there are several",
        ),
        (
            "[trust.acme]\ntenant = \"acme\"",
            "[trust.acme]\ntenant = \"acne\"",
            "trust.acme.tenant: `acne`: there is no [tenant.acne]",
        ),
        (
            "[ca.acme]\n",
            "[ca.acme]\nstate = \"stagd\"\n",
            "ca.acme.state: `stagd`: is none of staged, active, frozen, retired",
        ),
        ("[ca.acme]\n", "[ca.acme]\nstate = \"staged\"\n", "tenant.acme: has no active CA"),
        (
            "[log.2027]\nkind = \"rekor2\"\nwriters = [\"ca:acme\", \"ca:globex\"]\nurl = \"https://log2027",
            "[log.2027]\nkind = \"rekor2\"\nwriters = [\"ca:acme\", \"ca:globex\"]\nurl = \"https://log2026",
            "log.2027.url: `log2026.sign.example` is the host of the log `2026` for ever",
        ),
        (
            "https://tsa2027.sign.example",
            "https://tsa.sign.example",
            "tsa.2027: tsa.sign.example at port 8080 is tsa.2026's too",
        ),
        (
            "http://127.0.0.3:8080",
            "http://127.0.0.2:8080",
            "log.globex-ct: 127.0.0.2 at port 8080 is log.acme-ct's too",
        ),
        (
            "ct_log = \"acme-ct\"",
            "ct_log = \"globex-ct\"",
            "ca.acme.ct_log: `globex-ct` is no CT log of the tenant `acme`",
        ),
        (
            acme_ct,
            &format!("{acme_ct}\nstate = \"frozen\""),
            "ca.acme.ct_log: `acme-ct` is frozen: it gives no SCTs any more",
        ),
        (
            acme_ct,
            "[log.acme-ct]\nkind = \"ct\"",
            "ca.globex.ct_log: the tenant `globex` has 2 active CT logs: name one",
        ),
        (
            "[tsa.2027]\n",
            "[tsa.2027]\nkey = \"file:/var/lib/countersign/tsa/keys/2026.pem\"\n",
            "tsa.2027: /var/lib/countersign/tsa/keys/2026.pem is a file of tsa.2026 too",
        ),
        (
            "valid_until = \"2026-01-07T00:00:00Z\"",
            "valid_until = \"2024-01-07T00:00:00Z\"",
            "log.2025.valid_until: is before `valid_from`",
        ),
        (
            "valid_until = \"2026-01-07T00:00:00Z\"",
            "valid_until = \"soon\"",
            "log.2025.valid_until: `soon` is no time like",
        ),
        (
            "[log.2026]\n",
            "[log.2026]\nvalid_until = \"2027-01-07T00:00:00Z\"\n",
            "log.2026.valid_until: is of a service that is frozen or retired, and this one is active",
        ),
        (
            "[trust.globex]\n",
            "[trust.globex]\nstate = \"frozen\"\n",
            "trust.globex.state: a repository that is served is signed anew",
        ),
        (
            "[tsa.2026]\nurl = \"https://tsa.sign.example\"\nport = 8080\n# `O` of its certificates, which are no tenant's.\norganization = \"Sign Example\"",
            "[tsa.2026]\nurl = \"https://tsa.sign.example\"\nport = 8080",
            "tsa.2026.organization: is missing",
        ),
        (
            "hosts = [\"ca.globex.example\", ",
            "hosts = [",
            "tenant.globex.hosts: do not name the host of https://ca.globex.example",
        ),
        (
            "hosts = [\"ca.globex.example\", ",
            "hosts = [\"ca.globex.example\", \"log2026.sign.example\", ",
            "tenant.globex.hosts: name the host of https://log2026.sign.example, and [log.2026] is of all tenants",
        ),
        (
            "hosts = [\"ca.globex.example\", ",
            "hosts = [\"ca.globex.example\", \"CT.acme.example.\", ",
            "tenant.globex.hosts: name the host of https://ct.acme.example, and [log.acme-ct] is of the tenant `acme`",
        ),
        (
            "[log.2026]\n",
            "[log.2026]\nlimits = { queue_bytes = 1 }\n",
            "log.2026.limits.queue_bytes: 1 is not 8388608 to",
        ),
    ]);
}

/// Orders to one CA were carried out by another; a root that signs what the online key signs is no root.
#[test]
fn nothing_that_a_service_writes_or_signs_with_is_anothers_however_it_is_spelled() {
    let data = "/var/lib/countersign";
    let both = tenants_with("[ca.acme]\n", "[ca.acme]\nstate_dir = \"/run/state\"\n")
        .replace("[ca.globex]\n", "[ca.globex]\nstate_dir = \"/run/x/../state\"\n");
    let said = problems(&both);
    assert!(said.contains("ca.globex: /run/x/../state is a file of ca.acme too"), "{said}");
    told(&[
        (
            "[ca.globex]\n",
            &format!("[ca.globex]\nstate_dir = \"{data}/ca-state/acme\"\n"),
            "ca.globex: /var/lib/countersign/ca-state/acme is a file of ca.acme too",
        ),
        (
            "[log.globex-ct]\n",
            &format!("[log.globex-ct]\nkey = \"file:{data}/log/../log/keys/acme-ct.pem\"\n"),
            "log.globex-ct: /var/lib/countersign/log/../log/keys/acme-ct.pem is a file of log.acme-ct too",
        ),
        (
            "[trust.globex]\n",
            &format!(
                "[trust.globex]\nroot_key = \"file:{data}/trust/keys/tuf-globex-online.pem\"\n"
            ),
            "trust.globex: /var/lib/countersign/trust/keys/tuf-globex-online.pem is a file of trust.globex",
        ),
        (
            "[trust.globex]\n",
            &format!("[trust.globex]\nroot_key = \"file:{data}/trust/keys/tuf-acme-online.pem\"\n"),
            "tuf-acme-online.pem is a file of trust.acme too",
        ),
    ]);
}

#[test]
fn a_switch_with_another_word_or_number_is_told() {
    told(&[
        (
            "on_duplicate = \"conflict\"",
            "on_duplicate = \"twice\"",
            "log.rekor1.on_duplicate: `twice` is neither",
        ),
        (
            "on_duplicate = \"conflict\"",
            "kinds = [\"dsse\", \"rpm\"]",
            "log.rekor1.kinds: `rpm` is none of",
        ),
        ("on_duplicate = \"conflict\"", "kinds = [\"dsse\"]", "`hashedrekord` is always taken"),
        (
            "on_duplicate = \"conflict\"",
            "legacy_dsse = true",
            "log.rekor1.legacy_dsse: unknown key",
        ),
        (
            "on_duplicate = \"conflict\"",
            "limits = { batch_entries = 0 }",
            "log.rekor1.limits.batch_entries: 0 is not 1 to",
        ),
        ("[tsa.2027]\n", "[tsa.2027]\nverify_every = 0\n", "tsa.2027.verify_every: 0 is not 1 to"),
        (
            "[tsa.2027]\n",
            "[tsa.2027]\nmax_clock_step_back_s = 61\n",
            "tsa.2027.max_clock_step_back_s: 61 is not 0 to 60",
        ),
    ]);
}

#[test]
fn what_ended_and_does_not_say_when_is_warned_of() {
    assert_eq!(warnings(&two_tenants()), Vec::<String>::new());
    let [warning] = &warnings(&tenants_with("valid_until = \"2026-01-07T00:00:00Z\"\n", ""))[..]
    else {
        panic!()
    };
    assert!(warning.starts_with("log.2025: frozen, and without `valid_until`"), "{warning}");
}

#[test]
fn metrics_where_a_service_is_are_warned_of() {
    let warned = warnings(&tenants_with("metrics_port = 9100", "metrics_port = 8080"));
    let expected = "listen.metrics_ports.all: 8080 is the port of the CA `acme`";
    assert!(warned.iter().any(|warning| warning.starts_with(expected)), "{warned:?}");
}

#[test]
fn every_switch_of_a_log_and_a_timestamp_authority_is_in_the_file() {
    let rekor1 = "on_duplicate = \"conflict\"";
    let options = |text: &str, name: &str| parse(text).unwrap().log(name).unwrap().options.clone();
    let read = options(&two_tenants(), "rekor1").rekor1;
    assert_eq!(read.on_duplicate, rekor::OnDuplicate::Conflict);
    assert!(read.kinds.dsse && read.kinds.intoto);
    let fewer =
        options(&tenants_with(rekor1, "kinds = [\"hashedrekord\", \"dsse\"]"), "rekor1").rekor1;
    assert!(fewer.kinds.dsse && !fewer.kinds.intoto);
    assert!(options(&two_tenants(), "2026").rekor2.legacy_dsse);
    let strict =
        options(&tenants_with("[log.2026]\n", "[log.2026]\nlegacy_dsse = false\n"), "2026");
    assert!(!strict.rekor2.legacy_dsse);
    let limited = tenants_with(rekor1, "[log.rekor1.limits]\nqueue_entries = 7\nbatch_bytes = 9");
    let limits = options(&limited, "rekor1").limits;
    assert_eq!((limits.queue_entries, limits.batch_bytes, limits.batch_entries), (7, 9, 512));
    assert_eq!(options(&two_tenants(), "2026").min_free_mib, None);
    let roomy = tenants_with("[log.2026]\n", "[log.2026]\nmin_free_mib = 2048\n");
    assert_eq!(options(&roomy, "2026").min_free_mib, Some(2048));
    let careful =
        tenants_with("[tsa.2026]\n", "[tsa.2026]\nverify_every = 1\nmax_clock_step_back_s = 0\n");
    let settings = parse(&careful).unwrap().tsa().settings.clone();
    assert_eq!((settings.verify_every, settings.max_clock_step_back_s), (Some(1), Some(0)));
}

#[test]
fn a_retired_service_needs_no_port_of_its_own_and_no_log_that_gives_scts() {
    let old = "[ca.2025]\nstate = \"retired\"\nvalid_until = \"2026-01-07T00:00:00Z\"\n\
               url = \"http://localhost:5555\"\n";
    let config = parse(&format!("{}\n{old}", trial())).unwrap();
    assert_eq!(config.ca_chain_files(config.log("ct").unwrap()).count(), 2, "of both");
}

/// A proxy of the inside may have another port, and passes its host on.
#[test]
fn a_ct_log_answers_to_the_host_by_which_its_ca_reaches_it() {
    let by_proxy = tenants_with("http://127.0.0.2:8080", "https://ct.inside.example");
    let config = parse(&by_proxy).unwrap();
    let hosts = config.further_hosts(config.log("acme-ct").unwrap());
    assert_eq!(hosts, [Host::new("ct.inside.example")]);
    assert!(config.further_hosts(config.log("2026").unwrap()).is_empty());
    let both = by_proxy.replace("http://127.0.0.3:8080", "https://ct.inside.example:444");
    let said = problems(&both);
    assert!(said.contains("ct.inside.example at port 8080 is log.acme-ct's too"), "{said}");
}

/// What finds a service passes over the dot, so whoever compares hosts does.
#[test]
fn hosts_that_differ_by_a_final_dot_are_one() {
    told(&[
        (
            "url = \"https://trust.globex.example\"",
            "url = \"https://trust.acme.example.\"",
            "trust.globex: trust.acme.example at port 8080 is trust.acme's too",
        ),
        (
            "http://127.0.0.3:8080",
            "http://ct.acme.example.:8080",
            "log.globex-ct: ct.acme.example at port 8080 is log.acme-ct's too",
        ),
        (
            "[log.2027]\nkind = \"rekor2\"\nwriters = [\"ca:acme\", \"ca:globex\"]\nurl = \"https://log2027.sign.example",
            "[log.2027]\nkind = \"rekor2\"\nwriters = [\"ca:acme\", \"ca:globex\"]\nurl = \"https://log2026.sign.example.",
            "is the host of the log `2026` for ever",
        ),
    ]);
    let dotted =
        tenants_with("hosts = [\"ca.globex.example\", ", "hosts = [\"CA.globex.example.\", ");
    assert!(parse(&dotted).is_ok());
}

/// Two tenants of one provider. `acme` and `globex` are lines of their tables.
fn tenants_of_one_provider(acme: &str, globex: &str) -> String {
    let provider = "[oidc-dev]\nurl = \"http://localhost:3006\"\n";
    let issuer = "type = \"oidc-dev\"\ndevelopment = true\nurl = \"http://localhost:3006\"\n";
    let mut text = two_tenants();
    for (name, line) in [("acme", acme), ("globex", globex)] {
        let audience = format!("audience = \"https://sign.{name}.example\"\n");
        text = text.replace(&audience, line);
        let begin = text.find(&format!("[[ca.{name}.issuer]]")).unwrap();
        let end =
            begin + text[begin..].find("\n[ca.globex]").or(text[begin..].find("\n[log.")).unwrap();
        text.replace_range(begin..end, &format!("[[ca.{name}.issuer]]\n{issuer}"));
    }
    let login = text.replace("https://sso.acme.example/realms/acme", "http://localhost:3006");
    format!("{}\n{provider}", login.replace("https://sso.globex.example", "http://localhost:3006"))
}

#[test]
fn tenants_that_could_grant_one_token_are_refused() {
    let audience = |name: &str| format!("audience = \"https://sign.{name}.example\"\n");
    let (acme, globex) = (audience("acme"), audience("globex"));
    let apart = parse(&tenants_of_one_provider(&acme, &globex));
    assert!(apart.is_ok(), "{:#}", apart.unwrap_err());
    // Whoever has no audience takes that of all clients; who has one takes that alone.
    let half = parse(&tenants_of_one_provider("", &globex));
    assert!(half.is_ok(), "{:#}", half.unwrap_err());
    let said = problems(&tenants_of_one_provider("", ""));
    let told = "ca.globex.issuer: tokens of `http://localhost:3006` for the audience `sigstore` would get \
                certificates of [ca.acme] too, which is of the tenant `acme`";
    assert!(said.contains(told), "{said}");
    // An issuer with the other tenant's audience, of a pattern that has the first one's.
    let acme = "[[ca.acme.issuer]]\ntype = \"email\"\nurl = \"https://sso.globex.example\"\n\
                audiences = [\"a\"]\ndomains = [\"globex.example\"]\n\n[ca.globex]\n";
    let globex = "[[ca.globex.issuer]]\ntype = \"email\"\nurl = \"https://sso.globex.example\"\n";
    let both = tenants_with("[ca.globex]\n", acme);
    assert!(parse(&both).is_ok(), "{:#}", parse(&both).unwrap_err());
    let both = both.replace(globex, &format!("{globex}audiences = [\"b\", \"a\"]\n"));
    let said = problems(&both);
    assert!(said.contains("tokens of `https://sso.globex.example` for the audience `a`"), "{said}");
    let frozen = both.replace("[ca.acme]\n", "[ca.acme]\nstate = \"frozen\"\n");
    assert!(!problems(&frozen).contains("would get certificates"), "it grants nothing");
}
