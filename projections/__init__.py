"""投影. What is true now, in tables: disposable, and the same whether followed or made again from the first event."""
