"""The whole system on a virtual clock, every part of it drawn from one seed. Not shipped."""
