# A streaming endpoint behind an Application Load Balancer.
resource "aws_lb" "streams" {
  name               = "streams"
  load_balancer_type = "application"
  subnets            = var.subnets
  security_groups    = var.security_groups

  # The longest silence, on either side, and before the headers, where no ping helps; 60 by default. Pings each 10 to
  # 15 s carry any stream through. HTTP/2 pings and TCP keep-alive do not count: data must flow.
  idle_timeout = @@idle_s@@
}

resource "aws_lb_target_group" "upstream" {
  name     = "streams"
  port     = @@upstream_port@@
@plain  protocol = "HTTP"
@tls  protocol = "HTTPS"
  vpc_id   = var.vpc_id

  # How long streams of a target that is taken out live on; 3600 is the most.
  deregistration_delay = @@drain_s@@

  # The upstream must keep idle connections for longer than idle_timeout: one that it closes as it is used is a 502.
}

resource "aws_lb_listener" "streams" {
  load_balancer_arn = aws_lb.streams.arn
  port              = @@listen_port@@
  protocol          = "HTTP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.upstream.arn
  }
}
