//! The payment window of Toss Payments: the script that opens it, and what the checkout may load for it.
//!
//! The script is the provider's own, of its own origin, so the policy of that one page names it. Every other page
//! keeps the policy of all pages, and so does the checkout of another provider.

use http::{HeaderValue, header};
use ticketon_queue::http::Body;
use url::Url;

/// The provider's own domain: its script, calls and frames are spread over subdomains.
const TOSS: &str = "tosspayments.com";

/// How the checkout opens the payment window.
#[derive(Debug, Clone)]
pub(crate) struct TossWindow {
    script: String,
    policy: HeaderValue,
}

impl TossWindow {
    /// A window that this script opens.
    ///
    /// # Errors
    /// When the address is neither of https nor of this machine.
    pub(crate) fn new(script: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "--toss-sdk-url (TICKETON_TOSS_SDK_URL) is {script:?}: expected an https address, or an http address of this machine"
            )
        };
        let url = Url::parse(script).map_err(|_| wrong())?;
        let origin = origin(&url).ok_or_else(wrong)?;
        // The window that it lays over the page brings styles of its own. Scripts stay those of named origins.
        let policy = format!(
            "default-src 'none'; script-src 'self' {origin}; style-src 'self' 'unsafe-inline'; connect-src 'self' {origin}; \
             img-src 'self' data: {origin}; font-src {origin}; frame-src {origin}; base-uri 'none'; form-action 'self' {origin}; frame-ancestors 'none'"
        );
        Ok(Self {
            script: url.into(),
            policy: HeaderValue::try_from(policy).map_err(|_| wrong())?,
        })
    }

    /// The script's address.
    pub(crate) fn script(&self) -> &str {
        &self.script
    }

    /// Has a page load what the window needs.
    pub(crate) fn allow(&self, page: &mut http::Response<Body>) {
        let policy = self.policy.clone();
        page.headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// What the policy names for an address, if nobody on the way can change what comes from there.
fn origin(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let local = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        // A policy cannot name one.
        url::Host::Ipv6(_) => return None,
    };
    let of_toss = host == TOSS
        || host
            .strip_suffix(TOSS)
            .is_some_and(|rest| rest.ends_with('.'));
    match url.scheme() {
        "https" if of_toss => Some(format!("https://*.{TOSS}")),
        "https" => Some(url.origin().ascii_serialization()),
        "http" if local => Some(url.origin().ascii_serialization()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(script: &str) -> String {
        let window = TossWindow::new(script).unwrap();
        let mut page = ticketon_queue::page::html(String::new());
        window.allow(&mut page);
        let policies = page.headers().get_all(header::CONTENT_SECURITY_POLICY);
        assert_eq!(policies.iter().count(), 1);
        page.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_policy_names_the_scripts_origin_and_nothing_else() {
        let toss = policy("https://js.tosspayments.com/v2/standard");
        for directive in [
            "script-src 'self' https://*.tosspayments.com;",
            "connect-src 'self' https://*.tosspayments.com;",
            "frame-src https://*.tosspayments.com;",
            "form-action 'self' https://*.tosspayments.com;",
            "default-src 'none';",
            "frame-ancestors 'none'",
        ] {
            assert!(toss.contains(directive), "{directive} in {toss}");
        }
        assert!(
            !toss.contains("unsafe-eval") && !toss.contains("script-src 'self' 'unsafe-inline'")
        );
        let other = policy("https://pay.example:8443/sdk?v=2");
        assert!(
            other.contains("script-src 'self' https://pay.example:8443;"),
            "{other}"
        );
        assert!(!other.contains("tosspayments"), "{other}");
        let near = policy("https://eviltosspayments.com/sdk");
        assert!(
            near.contains("frame-src https://eviltosspayments.com;"),
            "{near}"
        );
        let local = policy("http://127.0.0.1:8810/v2/standard");
        assert!(
            local.contains("frame-src http://127.0.0.1:8810;"),
            "{local}"
        );
    }

    #[test]
    fn a_script_that_others_could_change_on_its_way_is_refused() {
        for bad in [
            "http://js.tosspayments.com/v2/standard",
            "ftp://127.0.0.1/x",
            "js.tosspayments.com",
            "https://[::1]/x",
            "data:text/javascript,1",
        ] {
            let error = TossWindow::new(bad).unwrap_err();
            assert!(
                error.contains("--toss-sdk-url") && error.contains("https"),
                "{error}"
            );
        }
    }
}
