"""What is not about one order: units, calls, inquiries of overseers, publications, subjects. Beside `domain.order`."""
