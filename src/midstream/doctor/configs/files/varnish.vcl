vcl 4.1;

# A streaming endpoint in Varnish. Start it like this, and without feature=+http2: over HTTP/2 a broken reply looks whole.
#   varnishd -a @@listen@@ -f varnish.vcl -p pipe_timeout=@@idle_s@@
# pipe_timeout is the longest silence, not the length of a stream: pings each 10 to 15 s carry any stream through.

backend upstream {
    .host = "@@upstream_address@@";
    .port = "@@upstream_port@@";
}

sub vcl_recv {
    # Varnish only carries the bytes: no send_timeout counts the whole reply, nothing is compressed or held back, a
    # failure of the upstream shows, and the upstream is told when the client leaves.
    return (pipe);
}
