"""How to ask each service: what its requests, its credentials and its errors look like.

Rule: translates requests and answers; opens no connection to a service.
"""
