# A streaming endpoint behind Azure's Application Gateway (v2): what counts for streams of it.
resource "azurerm_application_gateway" "streams" {
  # … name, sku, frontend, listener and routing rule as they are …

  global {
    request_buffering_enabled = true
    # On by default, and then events wait for a buffer to fill.
    response_buffering_enabled = false
  }

  backend_http_settings {
    name                  = "upstream"
@plain    protocol              = "Http"
@tls    protocol              = "Https"
    port                  = @@upstream_port@@
    cookie_based_affinity = "Disabled"

    # The longest silence, before the first event, where no ping helps, and between two.
    request_timeout = @@idle_s@@
  }
}
