//! Pages that another front end shows on the HTTP port. Front ends do not know
//! each other: who starts them hands these over.

/// Pages beside the HTTP server's own.
pub trait ExtraRoutes: std::fmt::Debug + Send + Sync {
    /// The page at `path`, asked for with GET; none if there is none.
    fn admin_page(&self, path: &str) -> Option<Page>;
}

/// One page. Its status is always 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// As the header of this name says.
    pub content_type: &'static str,
    /// The whole body.
    pub body: String,
}
