//! `/v1/coord/graph`: the service graph as JSON and as diagrams.
//!
//! Consul has no equivalent. The formats are described in decision 29.

use coord_state::consul::{Around, CheckStatus, GraphView, Judged, Reach};
use serde::Serialize;

/// A service and how it fares.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceAnswer<'a> {
    name: &'a str,
    depends_on: Vec<DependencyAnswer<'a>>,
    status: &'static str,
    effective_status: &'static str,
    because: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DependencyAnswer<'a> {
    name: &'a str,
    optional: bool,
    tag: &'a str,
}

/// Services in order: those of a wave need only services of waves before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphAnswer<'a> {
    services: Vec<ServiceAnswer<'a>>,
    waves: Vec<Vec<&'a str>>,
    missing: Vec<&'a str>,
}

/// One service with all around it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AroundAnswer<'a> {
    #[serde(flatten)]
    service: ServiceAnswer<'a>,
    ready: bool,
    needs: Vec<ReachAnswer<'a>>,
    needed_by: Vec<ReachAnswer<'a>>,
    #[serde(flatten)]
    graph: GraphAnswer<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReachAnswer<'a> {
    name: &'a str,
    distance: usize,
    optional: bool,
    status: &'static str,
    effective_status: &'static str,
}

/// A graph being told: all of it, or part of it.
#[derive(Debug)]
pub struct Told<'a> {
    view: &'a GraphView,
    judged: Judged,
    /// Which services are part of it.
    shown: Vec<bool>,
}

impl<'a> Told<'a> {
    /// All of it.
    pub fn of(view: &'a GraphView) -> Self {
        Self { view, judged: view.judged(), shown: vec![true; view.services.len()] }
    }

    /// One service, what it needs and what needs it.
    pub fn around(around: &'a Around) -> Self {
        let mut told = Self::of(&around.view);
        told.shown.fill(false);
        told.shown[around.center] = true;
        for needed_by in [false, true] {
            for place in around.view.reach(around.center, needed_by).into_keys() {
                told.shown[place] = true;
            }
        }
        told
    }

    /// Only the services that are wanted.
    pub fn keep(&mut self, wanted: impl Fn(&ServiceAnswer<'_>) -> bool) {
        for place in 0..self.shown.len() {
            let is_registered = self.view.services[place].status.is_some();
            self.shown[place] &= is_registered && wanted(&self.service(place));
        }
    }

    fn name(&self, place: usize) -> &'a str {
        &self.view.services[place].name
    }

    fn status(&self, place: usize) -> &'static str {
        self.view.services[place].status.map_or("missing", CheckStatus::as_str)
    }

    fn is_missing(&self, place: usize) -> bool {
        self.view.services[place].status.is_none()
    }

    fn service(&self, place: usize) -> ServiceAnswer<'a> {
        let needs = self.view.services[place].needs.iter();
        ServiceAnswer {
            name: self.name(place),
            depends_on: needs
                .map(|need| DependencyAnswer {
                    name: self.name(need.service),
                    optional: need.optional,
                    tag: &need.tag,
                })
                .collect(),
            status: self.status(place),
            effective_status: self.judged.effective[place].as_str(),
            because: self.judged.because[place].iter().map(|place| self.name(*place)).collect(),
        }
    }

    /// The registered services that are part of it.
    fn registered(&self) -> impl Iterator<Item = usize> {
        (0..self.shown.len()).filter(|place| self.shown[*place] && !self.is_missing(*place))
    }

    /// What these need and is not registered.
    fn missing(&self) -> Vec<usize> {
        let needs = self.registered().flat_map(|place| &self.view.services[place].needs);
        let mut missing: Vec<usize> =
            needs.map(|need| need.service).filter(|place| self.is_missing(*place)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// As JSON.
    pub fn answer(&self) -> GraphAnswer<'a> {
        let mut waves: Vec<Vec<&str>> = Vec::new();
        for place in self.registered() {
            if let Some(wave) = self.judged.waves[place] {
                waves.resize_with(waves.len().max(wave + 1), Vec::new);
                waves[wave].push(self.name(place));
            }
        }
        waves.retain(|wave| !wave.is_empty());
        GraphAnswer {
            services: self.registered().map(|place| self.service(place)).collect(),
            waves,
            missing: self.missing().into_iter().map(|place| self.name(place)).collect(),
        }
    }

    /// As JSON, with how far everything is from `center`.
    pub fn answer_around(&self, center: usize) -> AroundAnswer<'a> {
        let reached = |needed_by: bool| {
            let mut reached: Vec<(usize, Reach)> =
                self.view.reach(center, needed_by).into_iter().collect();
            reached.sort_by_key(|(place, reach)| (reach.distance, *place));
            let told = reached.into_iter().map(|(place, reach)| ReachAnswer {
                name: self.name(place),
                distance: reach.distance,
                optional: reach.optional,
                status: self.status(place),
                effective_status: self.judged.effective[place].as_str(),
            });
            told.collect()
        };
        AroundAnswer {
            service: self.service(center),
            ready: self.view.is_ready(center),
            needs: reached(false),
            needed_by: reached(true),
            graph: self.answer(),
        }
    }

    /// The services and the edges between them, each once: optional if it is so
    /// for all tags.
    fn drawn(&self) -> (Vec<usize>, Vec<(usize, usize, bool)>) {
        let mut places: Vec<usize> = self.registered().chain(self.missing()).collect();
        places.sort_unstable();
        let mut edges: Vec<(usize, usize, bool)> = Vec::new();
        for place in self.registered() {
            for need in &self.view.services[place].needs {
                let is_drawn = self.shown[need.service] || self.is_missing(need.service);
                match edges.last_mut() {
                    // Needs are in order: those of one name are neighbours.
                    Some((from, to, optional)) if (*from, *to) == (place, need.service) => {
                        *optional &= need.optional;
                    }
                    _ if is_drawn => edges.push((place, need.service, need.optional)),
                    _ => {}
                }
            }
        }
        (places, edges)
    }

    fn color(&self, place: usize) -> &'static str {
        match self.judged.effective[place] {
            CheckStatus::Passing => "#2e7d32",
            CheckStatus::Warning => "#b26a00",
            CheckStatus::Critical => "#c62828",
        }
    }

    /// For Graphviz.
    pub fn dot(&self) -> String {
        let (places, edges) = self.drawn();
        let mut text = String::from("digraph services {\n  rankdir=LR;\n  node [shape=box];\n");
        for place in places {
            let style = if self.is_missing(place) { ", style=dashed" } else { "" };
            let (name, color) = (dot_quoted(self.name(place)), self.color(place));
            text += &format!("  {name} [color=\"{color}\"{style}];\n");
        }
        for (from, to, optional) in edges {
            let style = if optional { " [style=dashed]" } else { "" };
            let (from, to) = (dot_quoted(self.name(from)), dot_quoted(self.name(to)));
            text += &format!("  {from} -> {to}{style};\n");
        }
        text + "}\n"
    }

    /// For Mermaid.
    pub fn mermaid(&self) -> String {
        let (places, edges) = self.drawn();
        let mut text = String::from("flowchart LR\n");
        for place in &places {
            text += &format!("  n{place}[\"{}\"]\n", mermaid_escaped(self.name(*place)));
        }
        for (from, to, optional) in edges {
            let arrow = if optional { "-.->" } else { "-->" };
            text += &format!("  n{from} {arrow} n{to}\n");
        }
        for place in places {
            text += &format!("  style n{place} stroke:{}\n", self.color(place));
        }
        text
    }
}

fn dot_quoted(name: &str) -> String {
    let mut quoted = String::from("\"");
    for char in name.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => quoted.push(' '),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

/// Mermaid shows codes of characters as these, and nothing else is safe in quotes.
fn mermaid_escaped(name: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.' | ' ');
    let escaped = name.chars().map(|char| match char {
        char if is_plain(char) => char.to_string(),
        char => format!("#{};", u32::from(char)),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use coord_state::consul::{GraphNeed, GraphService};

    use super::*;
    use crate::consul::json;

    fn need(service: usize, optional: bool) -> GraphNeed {
        GraphNeed { service, optional, tag: "".into() }
    }

    fn service(name: &str, status: Option<CheckStatus>, needs: Vec<GraphNeed>) -> GraphService {
        GraphService { name: name.into(), status, needs }
    }

    /// `web` needs `api`, which needs `db`, and both can do without `ca"che`.
    fn view() -> GraphView {
        let (fine, bad) = (Some(CheckStatus::Passing), Some(CheckStatus::Critical));
        GraphView {
            services: vec![
                service("api", fine, vec![need(1, true), need(2, false)]),
                service("ca\"che", None, vec![]),
                service("db", bad, vec![]),
                service("web", fine, vec![need(0, false), need(1, true)]),
            ],
        }
    }

    fn text<T: Serialize>(answer: &T) -> String {
        String::from_utf8(json::encode(answer, false)).unwrap()
    }

    #[test]
    fn the_graph_is_printed_in_the_shape_that_was_decided() {
        let mut view = view();
        assert_eq!(
            text(&Told::of(&view).answer()),
            r#"{"Services":[{"Name":"api","DependsOn":[{"Name":"ca\"che","Optional":true,"Tag":""},{"Name":"db","Optional":false,"Tag":""}],"Status":"passing","EffectiveStatus":"critical","Because":["db"]},{"Name":"db","DependsOn":[],"Status":"critical","EffectiveStatus":"critical","Because":[]},{"Name":"web","DependsOn":[{"Name":"api","Optional":false,"Tag":""},{"Name":"ca\"che","Optional":true,"Tag":""}],"Status":"passing","EffectiveStatus":"critical","Because":["db"]}],"Waves":[["db"],["api"],["web"]],"Missing":["ca\"che"]}"#
        );
        view.services.truncate(0);
        assert_eq!(text(&Told::of(&view).answer()), r#"{"Services":[],"Waves":[],"Missing":[]}"#);
    }

    #[test]
    fn one_service_is_printed_with_the_distance_of_all_around_it() {
        let around = Around { view: view(), center: 2 };
        let told = text(&Told::around(&around).answer_around(2));
        assert!(
            told.starts_with(r#"{"Name":"db","DependsOn":[],"Status":"critical","EffectiveStatus":"critical","Because":[],"Ready":true,"Needs":[],"NeededBy":[{"Name":"api","Distance":1,"Optional":false,"Status":"passing","EffectiveStatus":"critical"},{"Name":"web","Distance":2,"Optional":false,"#),
            "{told}"
        );
        assert!(
            told.ends_with(r#""Waves":[["db"],["api"],["web"]],"Missing":["ca\"che"]}"#),
            "{told}"
        );
    }

    #[test]
    fn what_is_kept_has_its_own_waves_and_missing_names() {
        let view = view();
        let mut told = Told::of(&view);
        told.keep(|service| service.name == "db");
        let told = text(&told.answer());
        assert!(told.ends_with(r#""Waves":[["db"]],"Missing":[]}"#), "{told}");
    }

    #[test]
    fn drawings_have_every_edge_and_no_name_breaks_out() {
        let view = view();
        let told = Told::of(&view);
        assert_eq!(
            told.dot(),
            "digraph services {\n  rankdir=LR;\n  node [shape=box];\n  \
             \"api\" [color=\"#c62828\"];\n  \
             \"ca\\\"che\" [color=\"#c62828\", style=dashed];\n  \
             \"db\" [color=\"#c62828\"];\n  \
             \"web\" [color=\"#c62828\"];\n  \
             \"api\" -> \"ca\\\"che\" [style=dashed];\n  \
             \"api\" -> \"db\";\n  \
             \"web\" -> \"api\";\n  \
             \"web\" -> \"ca\\\"che\" [style=dashed];\n}\n"
        );
        let mermaid = told.mermaid();
        assert!(mermaid.starts_with("flowchart LR\n  n0[\"api\"]\n  n1[\"ca#34;che\"]\n"));
        assert!(mermaid.contains("  n0 -.-> n1\n  n0 --> n2\n"), "{mermaid}");
    }
}
