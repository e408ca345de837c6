"""A campaign that kills a running job hundreds of times and checks what it wrote."""
