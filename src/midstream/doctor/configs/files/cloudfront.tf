# A streaming endpoint behind CloudFront.
resource "aws_cloudfront_distribution" "streams" {
  enabled = true

  origin {
    origin_id   = "upstream"
    domain_name = "@@upstream_host@@"

    custom_origin_config {
@plain      origin_protocol_policy = "http-only"
@tls      origin_protocol_policy = "https-only"
      http_port              = @@http_port@@
      https_port             = @@https_port@@
      origin_ssl_protocols   = ["TLSv1.2"]

      # The longest silence between two reads, and before the first, where no ping helps; 30 by default, 120 at
      # most. Pings each 10 to 15 s carry any stream through.
      origin_read_timeout = 60
    }

    # No response_completion_timeout: it counts the whole reply.
  }

  default_cache_behavior {
    target_origin_id       = "upstream"
    viewer_protocol_policy = "https-only"

    # A POST is what a message is asked by, and nothing of it is kept.
    allowed_methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    cached_methods  = ["GET", "HEAD"]
    # CachingDisabled, and AllViewerExceptHostHeader: the key must reach the upstream, and the name be its own.
    cache_policy_id          = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    origin_request_policy_id = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

    # Events stay as they are.
    compress = false
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
  }
}
