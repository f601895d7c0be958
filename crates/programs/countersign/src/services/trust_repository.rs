use super::{HttpClient, Service, ServiceError, ServiceKind, ServiceUrl};

/// Files of a TUF repository, over HTTP. What is in them is not judged here.
#[derive(Clone, Debug)]
pub struct TrustRepository {
    http: HttpClient,
    service: Service,
}

impl TrustRepository {
    /// The repository below the base URL `url`.
    #[must_use]
    pub fn new(http: HttpClient, url: ServiceUrl) -> Self {
        Self { http, service: Service { kind: ServiceKind::TrustRepository, url } }
    }

    /// The file at `path` (with a leading slash); `None` where there is none.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn file(&self, path: &str) -> Result<Option<Vec<u8>>, ServiceError> {
        self.http.get(&self.service, self.service.url.join(path)).await
    }

    /// The error that a file which every repository has is not there.
    #[must_use]
    pub fn lacks(&self, file: &str) -> ServiceError {
        self.service.malformed(format!("it has no {file}"))
    }
}
