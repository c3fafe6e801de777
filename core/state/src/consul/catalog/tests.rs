//! Each of the catalog's invariants, broken on purpose.

use super::*;
use crate::consul::{CheckStatus, Dependency, NewCheck, NewNode, NewService};

/// A node with an id, a service in a mesh that depends on another, and a check.
fn catalog() -> Catalog {
    let (mut catalog, mut ledger) = (Catalog::default(), Ledger::default());
    let new = NewNode { name: "N".into(), id: "uuid".into(), ..NewNode::default() };
    let node = Arc::new(CatalogNode::new(new, 1));
    catalog.put_node(&mut ledger, "n", Some(NodeRecord { node, index: 1 }));
    let needed = Dependency { name: "db".into(), optional: false, tag: Box::default() };
    let new = NewService {
        name: "web".into(),
        kind: "connect-proxy".into(),
        depends_on: [needed].into(),
        ..NewService::default()
    };
    let service = CatalogService::new("N", new, 1);
    let new = NewCheck {
        id: "c".into(),
        service_id: "web".into(),
        status: CheckStatus::Critical,
        ..NewCheck::default()
    };
    let check = HealthCheck::new("N", new, Some(&service), 1);
    catalog.put_service(&mut ledger, "n", "web", Some(Arc::new(service)));
    catalog.put_service_index(&mut ledger, "web", Some(1));
    catalog.put_check(&mut ledger, "n", "c", Some(Arc::new(check)));
    catalog
}

type Damage<T> = fn(&mut T);

fn row(catalog: &mut Catalog) -> &mut NodeRow {
    catalog.nodes.get_mut("n").expect("it is there")
}

fn name(catalog: &mut Catalog) -> &mut NameRow {
    catalog.names.get_mut("web").expect("it is there")
}

#[test]
fn whatever_is_derived_from_registrations_is_compared_with_them() {
    assert_eq!(catalog().check_invariants(), Ok(()));
    let damages: [(&str, &str, Damage<Catalog>); 11] = [
        ("A2", "nodes by id", |catalog| catalog.node_ids.clear()),
        ("A2", "in a mesh", |catalog| catalog.in_mesh.clear()),
        ("A2", "has no index", |catalog| name(catalog).index = 0),
        ("A2", "by service name", |catalog| name(catalog).instances.clear()),
        ("A2", "by service name", |catalog| name(catalog).spellings.clear()),
        ("A2", "by service name", |catalog| {
            name(catalog).judge(CheckStatus::Warning, true);
        }),
        ("A2", "the checks by service", |catalog| row(catalog).checks_of.clear()),
        ("A2", "the checks of", |catalog| {
            let mut check = HealthCheck::clone(&row(catalog).checks["c"]);
            check.service_tags.push("not the service's".into());
            row(catalog).checks.insert("c".into(), Arc::new(check));
        }),
        ("A2", "the services of", |catalog| {
            let service = row(catalog).services["web"].clone();
            row(catalog).services.insert("other".into(), service);
        }),
        ("A2", "the name of", |catalog| {
            let record = row(catalog).record.clone();
            catalog.nodes.insert("o".into(), NodeRow::new(record));
        }),
        ("A9", "not what the registrations give", |catalog| catalog.graph = Graph::default()),
    ];
    for (id, what, damage) in damages {
        let mut catalog = catalog();
        damage(&mut catalog);
        let broken = catalog.check_invariants().expect_err(what);
        assert_eq!(broken.id(), id, "{broken}");
        let text = alloc::string::ToString::to_string(&broken);
        assert!(text.contains(what), "{text} is not about {what}");
    }
}

#[test]
fn a_cycle_of_services_is_found() {
    let mut catalog = catalog();
    let needed = Dependency { name: "web".into(), optional: false, tag: Box::default() };
    let new =
        NewService { name: "db".into(), depends_on: [needed].into(), ..NewService::default() };
    let service = Arc::new(CatalogService::new("N", new, 1));
    // As a command does not: it looks for a cycle first.
    catalog.put_service(&mut Ledger::default(), "n", "db", Some(service));
    catalog.put_service_index(&mut Ledger::default(), "db", Some(1));
    let broken = catalog.check_invariants().expect_err("there is a cycle");
    assert_eq!(broken.id(), "A9");
}
