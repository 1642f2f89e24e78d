# A streaming endpoint behind Google Cloud's Application Load Balancer: its backend service.
resource "google_compute_backend_service" "streams" {
  name                  = "streams"
@plain  protocol              = "HTTP"
@tls  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"

  # It counts from the request to the end of the reply, and is 30 by default: as long as the longest stream.
  # For Cloud Run and other serverless backends leave it out: Google refuses it, and the service's own limit counts.
  timeout_sec = @@stream_s@@

  # How long streams of a backend that is taken out live on; 3600 is the most.
  connection_draining_timeout_sec = @@drain_s@@

  # The upstream must keep idle connections for longer than 600 s: one that it closes as it is used is a 502.
  backend {
    group = var.group
  }
}
