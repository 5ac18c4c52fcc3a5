"""What of DOMAIN §8 no case script can say: facts that another system recorded, law published twice."""
